//! The package for Rust and Tauri as the suite drives it: commands on standard input, answers on standard output, a line each.

mod http;

use std::{io::stdin, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_lite::StreamExt;
use powersync::{
    Authenticator, ConnectionPool, DisconnectAndClearFlags, PowerSyncDatabase, StreamSubscription,
    SyncOptions,
    env::PowerSyncEnvironment,
    error::PowerSyncError,
    schema::{Column, Schema, Table},
};
use rusqlite::types::ValueRef;
use seedbed_client_tauri::{StreamSource, connect_seeded};
use serde_json::{Map, Value, json};

type Answer = Result<Value, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() {
    PowerSyncEnvironment::powersync_auto_extension().expect("it is linked");
    let mut app = App::default();
    for line in stdin().lines() {
        let command: Value = serde_json::from_str(&line.expect("a line")).expect("it is JSON");
        let mut answer = match app.run(&command).await {
            Ok(answer) => answer,
            Err(error) => json!({"ok": false, "code": null, "message": error.to_string()}),
        };
        answer["id"] = command["id"].clone();
        println!("{answer}");
    }
}

#[derive(Default)]
struct App {
    db: Option<PowerSyncDatabase>,
    subscription: Option<StreamSubscription>,
    choices: Vec<String>,
}

impl App {
    async fn run(&mut self, command: &Value) -> Answer {
        let mut answer = match command["do"].as_str().unwrap_or_default() {
            "hello" => {
                json!({"platform": "tauri", "forms": [], "encodings": [], "softClear": true})
            }
            "open" => self.open(text(command, "directory")).await?,
            "query" => json!({"rows": self.query(text(command, "sql")).await?}),
            "execute" => {
                self.db()
                    .writer()
                    .await?
                    .execute(text(command, "sql"), ())?;
                json!({})
            }
            "status" => json!({"hasSynced": self.db().status().has_synced()}),
            "connect" => self.connect(command).await?,
            "choices" => json!({"choices": self.choices}),
            "disconnect" => {
                self.db().disconnect().await;
                json!({})
            }
            "clear" => {
                let mut flags = DisconnectAndClearFlags::default();
                flags.soft = command["soft"] == true;
                self.db().disconnect_and_clear(flags).await?;
                json!({})
            }
            "close" => {
                self.db().disconnect().await;
                (self.db, self.subscription) = (None, None);
                json!({})
            }
            other => return Err(format!("there is no command {other}").into()),
        };
        answer["ok"] = true.into();
        Ok(answer)
    }

    fn db(&self) -> &PowerSyncDatabase {
        self.db.as_ref().expect("it is open")
    }

    /// By the SDK alone: the package places no files.
    async fn open(&mut self, directory: &str) -> Answer {
        let pool = ConnectionPool::open(Path::new(directory).join("app.db"))?;
        let environment = PowerSyncEnvironment::custom(
            http::Client::default(),
            pool,
            PowerSyncEnvironment::tokio(),
        );
        let db = PowerSyncDatabase::new(environment, schema());
        db.reader().await?;
        let reason = db.status().has_synced().then_some("synced");
        let outcome = if reason.is_some() { "kept" } else { "sync" };
        self.db = Some(db);
        Ok(json!({"outcome": {"outcome": outcome, "reason": reason}}))
    }

    async fn query(&self, sql: &str) -> Result<Vec<Value>, PowerSyncError> {
        let reader = self.db().reader().await?;
        let mut statement = reader.prepare(sql)?;
        let names: Vec<String> = statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let rows = statement.query_map((), |row| {
            let fields = names.iter().enumerate().map(|(index, name)| {
                let value = match row.get_ref(index)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => number.into(),
                    ValueRef::Real(number) => number.into(),
                    ValueRef::Text(text) | ValueRef::Blob(text) => {
                        String::from_utf8_lossy(text).into()
                    }
                };
                Ok((name.clone(), value))
            });
            Ok(Value::Object(
                fields.collect::<Result<Map<_, _>, rusqlite::Error>>()?,
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    async fn connect(&mut self, command: &Value) -> Answer {
        let db = self.db().clone();
        let before = db.status().last_synced_at();
        let open = json!({"status": "open"});
        self.subscription = Some(
            db.sync_stream("orders_by_status", Some(&open))
                .subscribe()
                .await?,
        );
        let token = Token(Arc::new(text(command, "token").to_owned()));
        // The slash matters: the SDK joins `sync/stream` to it.
        let mut own =
            SyncOptions::download_only(&format!("{}/", text(command, "endpoint")), token.clone());
        own.with_retry_delay(Duration::from_millis(100));
        self.choices.clear();
        match command["seeded"].as_object() {
            None => db.connect(own).await,
            Some(seeded) => {
                let value = |name: &str| seeded[name].as_str().expect("it is said");
                let mut source =
                    StreamSource::new(value("url"), value("storeId"), reqwest::Client::new());
                let limit = |name: &str| seeded.get(name)?.as_u64().map(Duration::from_millis);
                source.silence_limit = limit("silenceLimit").unwrap_or(source.silence_limit);
                source.start_limit = limit("startLimit").unwrap_or(source.start_limit);
                let choice = connect_seeded(&db, &source, token, own).await?;
                let place = if choice.seedbed {
                    "seedbed"
                } else {
                    "powersync"
                };
                self.choices.push(format!("{place}: {}", choice.reason));
            }
        }
        let synced = |status: &powersync::SyncStatusData| status.last_synced_at() != before;
        if command["wait"] != false && !synced(&db.status()) {
            db.watch_status().any(|status| synced(&status)).await;
        }
        Ok(json!({}))
    }
}

fn text<'a>(command: &'a Value, name: &str) -> &'a str {
    command[name].as_str().expect("it is said")
}

fn schema() -> Schema {
    let text = [
        "store_id",
        "name",
        "description",
        "price",
        "created_at",
        "image_url",
    ];
    let mut products: Vec<Column> = text.into_iter().map(Column::text).collect();
    products.push(Column::integer("quantity"));
    let orders = vec![
        Column::text("store_id"),
        Column::text("status"),
        Column::integer("total"),
    ];
    let drafts = vec![Column::text("text")];
    let mut schema = Schema::default();
    schema
        .tables
        .push(Table::create("products", products, |_| {}));
    schema.tables.push(Table::create("orders", orders, |_| {}));
    schema.tables.push(Table::create("drafts", drafts, |table| {
        table.options.local_only = true
    }));
    schema
}

/// The user's, for both.
#[derive(Clone)]
struct Token(Arc<String>);

#[async_trait]
impl Authenticator for Token {
    async fn resolve_credentials(&self) -> Result<Arc<String>, PowerSyncError> {
        Ok(self.0.clone())
    }
}

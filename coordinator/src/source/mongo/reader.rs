//! Reads stores from MongoDB: asks for the documents, and sends each on as a store.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use mongodb::{
    Client, Cursor,
    bson::Document,
    error::{Error, ErrorKind},
    options::{ClientOptions, ConnectionString},
};
use tokio::sync::mpsc;

use super::{address::Address, fields::Fields, filter::Filter};
use crate::{
    settings::SourceConfig,
    source::{
        cast::Origin,
        channel::{READ_AHEAD, Read, until_end},
        error::SourceError,
        record::scope,
        store::Store,
    },
};

/// How long a server is looked for, unless the URL says otherwise.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may take to answer with the next documents.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Documents that are fetched at a time.
const BATCH: u32 = 1000;

/// Codes of errors that pass: shutting down, electing, out of reach, too busy, timed out. See MongoDB's error_codes.yml.
const PASSING: [i32; 14] = [
    6, 7, 50, 89, 91, 112, 189, 202, 262, 9001, 10107, 11600, 11602, 13435,
];

/// A query on a collection.
#[derive(Clone)]
pub struct MongoSource {
    connection: ConnectionString,
    database: String,
    collection: String,
    /// Servers, database and collection, for messages.
    name: String,
    filter: Filter,
    fields: Fields,
    store_id: String,
}

/// Without the connection, whose own `Debug` shows the user.
impl std::fmt::Debug for MongoSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MongoSource({})", self.name)
    }
}

impl MongoSource {
    /// Returns the collection that `config` names on the servers of `url`; opens nothing yet.
    ///
    /// # Errors
    /// [`SourceError`] when the URL or a setting is wrong or missing.
    pub(in crate::source) fn new(url: &str, config: &SourceConfig) -> Result<Self, SourceError> {
        let address = Address::of(url)?;
        let setting = |setting, problem: &str| SourceError::Setting {
            setting,
            problem: problem.to_owned(),
        };
        if config.query.is_some() {
            let problem =
                "is for SQL; MongoDB has source.collection, source.filter and source.fields";
            return Err(setting("query", problem));
        }
        let collection = config.collection.as_deref().unwrap_or_default();
        if collection.is_empty() {
            let problem = "is missing; set it to the collection with one document per store";
            return Err(setting("collection", problem));
        }
        let filter = config.filter.as_deref().map(Filter::parse).transpose()?;
        Ok(Self {
            name: format!("{}.{collection}", address.name),
            connection: address.connection,
            database: address.database,
            collection: collection.to_owned(),
            filter: filter.unwrap_or_default(),
            fields: Fields::parse(config.fields.as_ref())?,
            store_id: config.store_id.clone(),
        })
    }

    /// Its hosts, database and collection, without user and password.
    pub(in crate::source) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the filter has a `":since"`.
    pub(in crate::source) fn knows_changes(&self) -> bool {
        self.filter.has_since()
    }

    /// The documents as stores, fetched as they are taken; `since` is what `":since"` stands for.
    pub(in crate::source) fn stores<'a>(
        &self,
        since: DateTime<Utc>,
    ) -> BoxStream<'a, Result<Store, SourceError>> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let source = self.clone();
        tokio::spawn(async move {
            let ended = source.read(since, &sender).await.map(|()| None);
            // If the receiver is gone, an error is of no interest either.
            let _ = sender.send(ended).await;
        });
        until_end(receiver, self.name.clone())
    }

    async fn read(
        &self,
        since: DateTime<Utc>,
        sender: &mpsc::Sender<Read>,
    ) -> Result<(), SourceError> {
        let mut documents = self.answer(self.find(since)).await?;
        for position in 1.. {
            let next = async { documents.next().await.transpose() };
            let Some(document) = self.answer(next).await? else {
                break;
            };
            let columns = self.fields.columns(&document, &self.store_id);
            let scope = columns.and_then(|columns| scope(columns, &self.store_id, Origin::Mongo));
            let scope = scope.map_err(|problem| SourceError::Record {
                origin: self.name.clone(),
                unit: "document",
                position,
                problem,
            })?;
            let store = Store { scope, position };
            if sender.send(Ok(Some(store))).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn find(&self, since: DateTime<Utc>) -> Result<Cursor<Document>, Error> {
        let mut options = ClientOptions::parse(self.connection.clone()).await?;
        options.app_name.get_or_insert_with(|| "seedbed".to_owned());
        options
            .server_selection_timeout
            .get_or_insert(SELECTION_TIMEOUT);
        let database = Client::with_options(options)?.database(&self.database);
        let collection = database.collection::<Document>(&self.collection);
        let find = collection.find(self.filter.with(since)).batch_size(BATCH);
        match self.fields.projection() {
            Some(projection) => find.projection(projection).await,
            None => find.await,
        }
    }

    /// Waits for the server.
    async fn answer<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SourceError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| self.failure(&error)),
            Err(_) => Err(SourceError::MongoAway {
                database: self.name.clone(),
                problem: format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
            }),
        }
    }

    fn failure(&self, error: &Error) -> SourceError {
        let (database, problem) = (self.name.clone(), error.kind.to_string());
        let refused = match error.kind.as_ref() {
            ErrorKind::Authentication { .. }
            | ErrorKind::InvalidArgument { .. }
            | ErrorKind::InvalidTlsConfig { .. }
            | ErrorKind::IncompatibleServer { .. } => true,
            ErrorKind::Command(refused) => !PASSING.contains(&refused.code),
            _ => false,
        };
        if refused {
            SourceError::MongoRefused { database, problem }
        } else {
            SourceError::MongoAway { database, problem }
        }
    }
}

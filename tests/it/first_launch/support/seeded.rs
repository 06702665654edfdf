//! A service with stores, and `seedbed local --serve`, which hands out their snapshots.

use std::sync::Arc;

use seedbed_protocol::manifest::Manifest;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use testkit::{
    powersync::PowerSync,
    program::{Process, Program},
    serving::{ADMIN_TOKEN, Serving},
};

use super::{
    control::Control,
    rows::{PRODUCTS, STREAM, add_store, streams},
};

/// A service with stores, and Seedbed, which has seeded them and hands the snapshots out.
pub(in super::super) struct Seeded {
    pub(in super::super) service: Arc<PowerSync>,
    /// What the tests in Node are told.
    pub(in super::super) set_up: Value,
    _serving: Serving,
    _control: Control,
    _program: Program,
}

/// What the packages take, and what an SDK takes that has none.
const RENDITIONS: &str = "file/identity,compact/gzip,stream/gzip,stream-bson/gzip";

impl Seeded {
    /// Stores of 300 products and 10 orders, in a service of its own.
    pub(in super::super) async fn with(stores: &[&str]) -> Self {
        Self::with_sizes(stores.iter().map(|store| (*store, PRODUCTS)).collect()).await
    }

    /// Stores with these numbers of products.
    pub(in super::super) async fn with_sizes(stores: Vec<(&str, u32)>) -> Self {
        let service = PowerSync::builder().config(streams()).start().await;
        let service = Arc::new(service.expect("a port is free"));
        for (store, products) in &stores {
            add_store(&service, store, *products);
        }
        let mut program = Program::new(&*service);
        // The user's token is one for both, as it is in an app.
        program.set("DOWNLOAD__SECRET", service.secret());
        program.set("SNAPSHOTS__RENDITIONS", RENDITIONS);
        program.set("SERVE__ADMIN_TOKEN", ADMIN_TOKEN);
        program.set("DOWNLOAD__START_MAX_AGE", "100ms");
        program.write("seedbed.toml", STREAM);
        let names: Vec<&str> = stores.iter().map(|(store, _)| *store).collect();
        program.write("stores.csv", format!("store_id\n{}\n", names.join("\n")));
        let local = ["local", "--serve", "--stores", "stores.csv"];
        let mut serving = Serving::start(&program, &local).await;
        let seeded = |seedbed: &Process| seedbed.output().contains(r#""type":"summary""#);
        serving.process.until("every store is seeded", seeded).await;
        let control = Control::of(service.clone()).await;
        let set_up = json!({
            "endpoint": service.endpoint(),
            "control": control.url,
            "database": format!("{}/database", serving.url),
            "seedbed": serving.url,
            "adminToken": ADMIN_TOKEN,
            "snapshots": files(&program).await,
        });
        Self {
            service,
            set_up,
            _serving: serving,
            _control: control,
            _program: program,
        }
    }
}

/// The snapshot of each store: its file, and its compact form in gzip.
async fn files(program: &Program) -> Map<String, Value> {
    let listed = program.run(&["snapshots", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed}");
    let directory = program.path("seedbed-data/snapshots");
    let files = listed.output.lines().map(|line| {
        let Listed { manifest } = serde_json::from_str(line).expect("a snapshot");
        let path = |kind: &str| {
            let kind = kind.parse().expect("a kind of rendition");
            let rendition = manifest.rendition(kind).expect("it is made");
            directory.join(&rendition.key)
        };
        let paths = json!({"file": path("file/identity"), "compact": path("compact/gzip")});
        (manifest.store_id.to_string(), paths)
    });
    files.collect()
}

/// A snapshot as the catalog lists it.
#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    manifest: Manifest,
}

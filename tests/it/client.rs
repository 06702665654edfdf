//! The example client in `deploy/client/node` with the real `@powersync/node`: `tests/client` is run by Node against the
//! stand-in service and snapshots that `seedbed local` has made.

mod control;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use control::Control;
use seedbed_protocol::message::Manifest;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use testkit::{
    powersync::{PowerSync, Products, Source, StreamDefinition, SyncConfig},
    program::Program,
};

const STORES: [&str; 4] = ["fresh", "day-old", "shared", "refused"];

/// Rows of each store: more operations than fit into one line of the stream.
const PRODUCTS: u32 = 1200;

/// Longer than all tests of a file take.
const LIMIT: Duration = Duration::from_secs(300);

/// Seeds the `generate`d rows, which a test changes by their index.
const SEED: u64 = 1;

/// Products that every client of a store gets, and orders for those that subscribe to them.
fn streams() -> SyncConfig {
    let store = || Source::claim("store_id");
    SyncConfig::streams([
        StreamDefinition::new("store_products", "products").parameter("store_id", store()),
        StreamDefinition::new("orders_by_status", "orders")
            .parameter("store_id", store())
            .parameter("status", Source::subscription("status"))
            .on_demand(),
    ])
}

/// A service with all stores, and a snapshot of each.
struct Seeded {
    service: PowerSync,
    program: Program,
    snapshots: Map<String, Value>,
}

async fn seed() -> Seeded {
    let service = PowerSync::builder().config(streams()).start().await;
    let service = service.expect("a port is free");
    for store in STORES {
        service.add_generated_store(store, PRODUCTS, SEED);
        for number in 1..=10 {
            let status = if number <= 7 { "open" } else { "closed" };
            let id = format!("{store}-{number}");
            let order = json!({"id": id, "store_id": store, "status": status, "total": number});
            service.put("orders", order);
        }
    }
    let program = Program::new(&service);
    program.write("stores.csv", format!("store_id\n{}\n", STORES.join("\n")));
    program.write(
        "seedbed.toml",
        "[[streams]]\nstream = \"orders_by_status\"\nparameters = { status = \"open\" }\n",
    );
    let local = ["local", "--json", "--stores", "stores.csv"];
    let seeded = program.run(&local).await;
    assert_eq!(seeded.code, Some(0), "{seeded}");

    let listed = program.run(&["snapshots", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed}");
    let snapshots = listed.output.lines().map(|line| {
        let listed: Listed = serde_json::from_str(line).expect("a snapshot");
        let rendition = &listed.manifest.renditions[0];
        let file = program.path("seedbed-data/snapshots").join(&rendition.key);
        (listed.manifest.store_id.to_string(), json!({"file": file}))
    });
    let snapshots = snapshots.collect();
    Seeded {
        service,
        program,
        snapshots,
    }
}

/// A snapshot as the catalog lists it.
#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    manifest: Manifest,
}

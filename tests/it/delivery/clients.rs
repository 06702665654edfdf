//! The example client in `deploy/clients/node` with the real `@powersync/node`: Node runs `tests/client` against the
//! stand-in service and the snapshots that `seedbed local --serve` has made of it and hands out.

mod control;
mod rows;
mod workspace;

use std::{process::Stdio, sync::Arc, time::Duration};

use self::{
    control::Control,
    rows::{STREAM, add_store, change_50_rows, streams},
};
use seedbed_protocol::manifest::Manifest;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use testkit::{
    machine::node,
    powersync::PowerSync,
    program::{Process, Program},
    serving::Serving,
};
use tokio::process::Command;

/// Longer than all tests of a file take.
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn the_node_client_downloads_only_what_has_changed() {
    let seeded = seed(&["fresh", "shared"]).await;
    run_in_node(&seeded, &[], "snapshot.test.js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_client_catches_up_after_a_day_and_50_changes() {
    let seeded = seed(&["day-old"]).await;
    change_50_rows(&seeded.service, "day-old");
    // Everything in Node's process, the SDK's core extension included, then finds that the snapshot and the
    // subscriptions in it were made a day ago. Time passes as always; only what the clock says is another day.
    let tomorrow = ["faketime", "-m", "--exclude-monotonic", "-f", "+1d"];
    run_in_node(&seeded, &tomorrow, "day-old.test.js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_client_falls_back_to_the_initial_sync_whatever_fails() {
    let seeded = seed(&["refused"]).await;
    run_in_node(&seeded, &[], "refusals.test.js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_sdk_takes_its_first_sync_from_seedbed_and_goes_on_at_the_service() {
    let streams = "file/identity,stream/gzip,stream-bson/gzip";
    let seeded = seed_with(&["fresh", "shared"], streams).await;
    run_in_node(&seeded, &[], "first-sync.test.js").await;
}

#[tokio::test]
async fn the_clients_have_no_type_errors() {
    for config in ["tsconfig.json", "tsconfig.react-native.json"] {
        let config = format!("tests/client/{config}");
        let tsc = "node_modules/typescript/bin/tsc";
        run(&[&node(), tsc, "--project", &config], &Value::Null).await;
    }
}

/// A service with stores, and Seedbed, which has seeded them and hands the snapshots out.
struct Seeded {
    service: Arc<PowerSync>,
    /// What the tests in Node are told.
    set_up: Value,
    _serving: Serving,
    _control: Control,
    _program: Program,
}

async fn seed(stores: &[&str]) -> Seeded {
    seed_with(stores, "file/identity,compact/gzip").await
}

async fn seed_with(stores: &[&str], renditions: &str) -> Seeded {
    let service = PowerSync::builder().config(streams()).start().await;
    let service = Arc::new(service.expect("a port is free"));
    for store in stores {
        add_store(&service, store);
    }
    let mut program = Program::new(&*service);
    // The user's token is one for both, as it is in an app.
    program.set("DOWNLOAD__SECRET", service.secret());
    program.set("SNAPSHOTS__RENDITIONS", renditions);
    program.write("seedbed.toml", STREAM);
    program.write("stores.csv", format!("store_id\n{}\n", stores.join("\n")));
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
        "snapshots": files(&program).await,
    });
    Seeded {
        service,
        set_up,
        _serving: serving,
        _control: control,
        _program: program,
    }
}

/// The snapshot file of each store.
async fn files(program: &Program) -> Map<String, Value> {
    let listed = program.run(&["snapshots", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{listed}");
    let directory = program.path("seedbed-data/snapshots");
    let files = listed.output.lines().map(|line| {
        let Listed { manifest } = serde_json::from_str(line).expect("a snapshot");
        let file = directory.join(&manifest.renditions[0].key);
        (manifest.store_id.to_string(), json!({"file": file}))
    });
    files.collect()
}

/// A snapshot as the catalog lists it.
#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    manifest: Manifest,
}

/// Runs a file of `tests/client`, with Node below another program if `before` names one.
async fn run_in_node(seeded: &Seeded, before: &[&str], file: &str) {
    let file = format!("tests/client/{file}");
    let node = [
        &*node(),
        "--test-timeout=60000",
        // The SDK (1.1.0) leaves a timer of a database behind that cannot be opened, in `TriggerManagerImpl`.
        "--test-force-exit",
        "--test-reporter=spec",
        &*file,
    ];
    run(&[before, &node].concat(), &seeded.set_up).await;
}

/// Runs a program where the packages are, and shows what it prints when it fails.
async fn run(command: &[&str], set_up: &Value) {
    let (program, arguments) = command.split_first().expect("there is a program");
    let printed = NamedTempFile::new().expect("a temporary file can be made");
    let open = || printed.reopen().expect("the file is there");
    let child = Command::new(program)
        .args(arguments)
        .current_dir(workspace::installed())
        .env("SEEDBED_CLIENT_TESTS", set_up.to_string())
        .stdin(Stdio::null())
        .stdout(open())
        .stderr(open())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    let printed = std::fs::read_to_string(&printed).expect("the file is there");
    let status = ended.unwrap_or_else(|_| panic!("not in time:\n{printed}"));
    assert!(status.expect("it is a child").success(), "{printed}");
}

//! The package for Node with the real `@powersync/node`: Node runs `tests/client` against the stand-in service and the
//! snapshots that `seedbed local --serve` has made of it and hands out.

use testkit::machine::node;

use super::support::{Seeded, change_50_rows, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_node_client_downloads_only_what_has_changed() {
    let seeded = Seeded::with(&["fresh", "shared"]).await;
    run_in_node(&seeded, &[], "snapshot.test.js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_client_catches_up_after_a_day_and_50_changes() {
    let seeded = Seeded::with(&["day-old"]).await;
    change_50_rows(&seeded.service, "day-old");
    // Everything in Node's process, the SDK's core extension included, then finds that the snapshot and the
    // subscriptions in it were made a day ago. Time passes as always; only what the clock says is another day.
    let tomorrow = ["faketime", "-m", "--exclude-monotonic", "-f", "+1d"];
    run_in_node(&seeded, &tomorrow, "day-old.test.js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_client_falls_back_to_the_initial_sync_whatever_fails() {
    let seeded = Seeded::with(&["refused"]).await;
    run_in_node(&seeded, &[], "refusals.test.js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_sdk_takes_its_first_sync_from_seedbed_and_goes_on_at_the_service() {
    let seeded = Seeded::with(&["fresh", "shared", "written", "renamed"]).await;
    run_in_node(&seeded, &[], "first-sync.test.js").await;
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

//! A store that keeps failing alone is quarantined; what hits several stores, or all of them, never is.

use serde_json::{Value, json};
use testkit::{cluster::Cluster, powersync::Fault, program::stop};

fn refused(code: &'static str) -> Fault {
    Fault::Error { status: 403, code }
}

async fn quarantined(cluster: &Cluster) -> Vec<Value> {
    let status = cluster.status().await;
    status["quarantined"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_keeps_failing_alone_is_skipped_and_fails_no_run() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(4, 5);
    cluster.program.set("SYNC__QUARANTINE_AFTER", "2");
    cluster.program.set("SYNC__QUARANTINE_PAUSE", "1h");
    let faults = cluster.service.faults();
    faults.always_for("store-1", refused("PSYNC_S2305"));
    let workers = cluster.start_workers(1);
    for _ in 0..2 {
        assert!(quarantined(&cluster).await.is_empty());
        let ended = cluster.run(&[]).await;
        assert_eq!(ended.code, Some(1), "{ended}");
    }
    let shown = quarantined(&cluster).await;
    assert_eq!(
        (&shown[0]["store_id"], &shown[0]["sweeps"]),
        (&json!("store-1"), &json!(2))
    );
    let reason = shown[0]["reason"].as_str().unwrap();
    assert!(reason.contains("PSYNC_S2305"), "{reason}");
    let requests = || cluster.service.metrics().store("store-1").requests;
    let before = requests();
    let ended = cluster.run(&["--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(ended.objects()[0]["quarantined"], 1, "{ended}");
    assert_eq!(requests(), before, "it is skipped");
    assert_eq!(cluster.status().await["runs"][0]["state"], "completed");

    // By name it is seeded, and that it fails is this run's failure.
    let ended = cluster.run(&["--store", "store-1"]).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(requests() > before);
    faults.clear();
    let ended = cluster.program.run(&["retry"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(quarantined(&cluster).await.is_empty(), "a success ends it");
    let ended = cluster.run(&["--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(ended.objects()[0]["jobs"], 4, "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_a_quarantined_store_fails_no_run_and_ends_it_when_it_succeeds() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(3, 5);
    cluster.program.set("SYNC__QUARANTINE_AFTER", "1");
    cluster.program.set("SYNC__QUARANTINE_PAUSE", "0s");
    let faults = cluster.service.faults();
    faults.always_for("store-2", refused("PSYNC_S2305"));
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let ended = cluster.run(&["--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let summary = ended.objects().pop().unwrap();
    assert_eq!(
        (
            &summary["seeded"],
            &summary["failed"],
            &summary["quarantined"]
        ),
        (&json!(2), &json!(0), &json!(1))
    );
    assert_eq!(summary["failures"][0]["is_probe"], true, "{summary}");
    assert_eq!(quarantined(&cluster).await[0]["sweeps"], 2);
    faults.clear();
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(quarantined(&cluster).await.is_empty());
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_which_no_store_succeeds_never_ends_well() {
    let mut cluster = Cluster::start().await;
    cluster.add_stores(2, 5);
    cluster.program.set("SYNC__QUARANTINE_AFTER", "1");
    cluster.program.set("SYNC__QUARANTINE_PAUSE", "1h");
    let faults = cluster.service.faults();
    // Two reasons, so that none is shared.
    faults.always_for("store-1", refused("PSYNC_S2305"));
    faults.always_for("store-2", refused("PSYNC_S2101"));
    let workers = cluster.start_workers(1);
    for _ in 0..2 {
        let ended = cluster.run(&[]).await;
        assert_eq!(ended.code, Some(1), "{ended}");
        assert!(quarantined(&cluster).await.is_empty(), "nothing works");
    }
    // One of them works for once: the other is alone, and quarantined.
    faults.clear();
    faults.always_for("store-2", refused("PSYNC_S2101"));
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    assert_eq!(quarantined(&cluster).await.len(), 1);
    cluster.list(&["store-2".to_owned()]);
    let ended = cluster.run(&[]).await;
    assert_eq!(
        ended.code,
        Some(1),
        "nothing but a quarantined store: {ended}"
    );
    stop(workers).await;
}

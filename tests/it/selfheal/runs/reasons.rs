//! What fails for one reason is started over, or left out, with one command.

use serde_json::{Value, json};
use testkit::{cluster::Cluster, powersync::Fault, program::stop};

fn refused(code: &'static str) -> Fault {
    Fault::Error { status: 403, code }
}

async fn codes(cluster: &Cluster) -> Vec<(String, u64)> {
    let status = cluster.status().await;
    let reasons = status["reasons"].as_array().unwrap();
    let code = |it: &Value| {
        (
            it["code"].as_str().unwrap().to_owned(),
            it["open"].as_u64().unwrap(),
        )
    };
    reasons.iter().map(code).collect()
}

async fn key(cluster: &Cluster, code: &str) -> String {
    let status = cluster.status().await;
    let reasons = status["reasons"].as_array().unwrap();
    let of_code = reasons.iter().find(|it| it["code"] == code).unwrap();
    of_code["key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reason_is_retried_and_another_is_quarantined() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("SYNC__QUARANTINE_AFTER", "5");
    cluster.add_stores(6, 5);
    let faults = cluster.service.faults();
    for (store, code) in [
        ("store-1", "PSYNC_S2305"),
        ("store-2", "PSYNC_S2305"),
        ("store-3", "PSYNC_S2101"),
        ("store-4", "PSYNC_S2101"),
    ] {
        faults.always_for(store, refused(code));
    }
    let workers = cluster.start_workers(1);
    assert_eq!(cluster.run(&[]).await.code, Some(1));
    let both = [("PSYNC_S2101".to_owned(), 2), ("PSYNC_S2305".to_owned(), 2)];
    assert_eq!(codes(&cluster).await, both);

    faults.clear();
    for store in ["store-3", "store-4"] {
        faults.always_for(store, refused("PSYNC_S2101"));
    }
    let healed = key(&cluster, "PSYNC_S2305").await;
    let retried = cluster.program.run(&["retry", "--reason", &healed]).await;
    assert_eq!(retried.code, Some(0), "{retried}");
    assert!(retried.error.contains("2 stores start over"), "{retried}");
    assert_eq!(codes(&cluster).await, [("PSYNC_S2101".to_owned(), 2)]);
    let again = cluster
        .program
        .run(&["retry", "--reason", &healed, "--json"])
        .await;
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(again.objects()[0]["jobs"], 0, "nothing is left to retry");

    let broken = key(&cluster, "PSYNC_S2101").await;
    let held = cluster
        .program
        .run(&["quarantine", "--reason", &broken, "--json"])
        .await;
    assert_eq!(
        (held.code, &held.objects()[0]["stores"]),
        (Some(0), &json!(2)),
        "{held}"
    );
    let status = cluster.status().await;
    assert_eq!(status["quarantined"].as_array().unwrap().len(), 2);
    assert_eq!(status["reasons"][0]["quarantined"], 2);
    let ended = cluster.run(&["--json"]).await;
    assert_eq!(
        (ended.code, &ended.objects()[0]["quarantined"]),
        (Some(0), &json!(2)),
        "{ended}"
    );
    let audit = cluster
        .program
        .run(&["audit", "--search", "failure.", "--json"])
        .await;
    let entries: Vec<Value> = audit
        .objects()
        .iter()
        .map(|it| it["action"].clone())
        .collect();
    assert_eq!(
        entries,
        ["failure.quarantine", "failure.retry", "failure.retry"],
        "{audit}"
    );

    faults.clear();
    let retried = cluster.program.run(&["retry", "--reason", &broken]).await;
    assert_eq!(retried.code, Some(0), "{retried}");
    assert_eq!(
        cluster.status().await["quarantined"],
        json!([]),
        "a success ends it"
    );
    let unknown = cluster
        .program
        .run(&["retry", "--reason", "0123456789"])
        .await;
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(
        unknown.error.contains("seedbed status --failures"),
        "{unknown}"
    );
    stop(workers).await;
}

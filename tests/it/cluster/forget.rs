//! `seedbed forget` on a cluster: nothing of a store is left, whatever its job in flight does, and no list has it again.

use serde_json::json;
use testkit::{
    cluster::{Cluster, RUN},
    powersync::Fault,
    program::stop,
    serving::{SERVE, Serving},
    wait,
};

use std::time::Duration;

/// How late the service answers a job that is to be in flight.
const SLOW: Duration = Duration::from_secs(2);

fn objects_of(cluster: &Cluster, store: &str) -> usize {
    let directory = cluster.program.path("snapshots");
    let count = |path: std::path::PathBuf, start: &str| {
        let files = std::fs::read_dir(path).into_iter().flatten();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(start)).count()
    };
    count(directory.join(store), "") + count(directory.join("latest"), &format!("{store}."))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_and_its_successor_still_upload_of_a_forgotten_store_is_removed() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    cluster.program.set("SNAPSHOTS__LATEST", "true");
    cluster.add_stores(2, 10);
    let mut workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let before = objects_of(&cluster, "store-1");
    assert!(before >= 4, "{before} objects");

    // A job is in flight, and its worker holds it.
    cluster
        .service
        .faults()
        .always_for("store-1", Fault::Delay(SLOW));
    let asked = cluster.service.requests().len();
    let ended = cluster
        .run(&["--no-wait", "--full", "--store", "store-1"])
        .await;
    assert_eq!(ended.code, Some(0), "{ended}");
    wait::until("the worker has asked the service", async || {
        cluster.service.requests().len() > asked
    })
    .await;
    let forgotten = cluster.program.run(&["forget", "store-1", "--json"]).await;
    assert_eq!(forgotten.code, Some(0), "{forgotten}");
    let forgotten = forgotten.objects().remove(0);
    assert!(forgotten["objects"].as_u64().unwrap() >= 4, "{forgotten}");
    assert_eq!(
        (&forgotten["snapshots"], &forgotten["jobs"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (&forgotten["inFlight"], &forgotten["left"]),
        (&json!(1), &json!(null))
    );
    assert!(forgotten["outOfReach"].as_array().unwrap().len() >= 5);
    assert_eq!(objects_of(&cluster, "store-1"), 0);

    // The worker is killed; another one gets the job, and knows nothing of all that.
    assert!(workers.remove(0).kill().await);
    let workers = cluster.start_workers(1);
    wait::until("the other worker has uploaded it", async || {
        objects_of(&cluster, "store-1") >= 3
    })
    .await;
    let serving = Serving::start(&cluster.program, &SERVE).await;
    wait::until("the late upload is removed", async || {
        objects_of(&cluster, "store-1") == 0
    })
    .await;
    wait::until("what the worker reported is settled", async || {
        let overview = serving.admin("/api/overview").await.json();
        overview["waiting"] == json!({"jobs": 0, "events": 0})
    })
    .await;
    let overview = serving.admin("/api/overview").await.json();
    assert_eq!(overview["parked"]["events"], 0, "{overview}");
    assert_eq!(serving.admin("/api/stores/store-1").await.status, 404);
    assert_eq!(serving.admin("/api/stores").await.json()["total"], 1);
    assert_eq!(
        serving.database("store-1").await.refusal(),
        (404, "no_snapshot".to_owned())
    );

    // Lists leave it out until it is allowed again.
    cluster.service.faults().clear();
    let swept = cluster.program.run(&[&RUN[..], &["--json"]].concat()).await;
    assert_eq!(swept.code, Some(0), "{swept}");
    let listed = swept
        .objects()
        .into_iter()
        .find(|line| line["type"] == "listed")
        .unwrap();
    assert_eq!(
        (&listed["jobs"], &listed["forgotten"]),
        (&json!(1), &json!(1))
    );
    let refused = cluster.run(&["--store", "store-1"]).await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.error.contains("seedbed allow"), "{refused}");
    let refused = serving.post("/api/stores/store-1/seed", None).await;
    assert_eq!(refused.refusal(), (409, "forgotten".to_owned()));
    assert_eq!(objects_of(&cluster, "store-1"), 0);

    let allowed = cluster.program.run(&["allow", "store-1"]).await;
    assert_eq!(allowed.code, Some(0), "{allowed}");
    let again = cluster.run(&["--store", "store-1"]).await;
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(serving.database("store-1").await.status, 200);
    let collected = cluster.program.run(&["gc"]).await;
    assert_eq!(collected.code, Some(0), "{collected}");
    assert!(objects_of(&cluster, "store-1") >= 4, "what is new stays");
    let audit = serving.admin("/api/audit?search=store-1").await.json();
    let actions: Vec<_> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            (text("action"), text("outcome"))
        })
        .collect();
    let expected = [
        ("store.allow", "done"),
        ("store.seed", "refused (409)"),
        ("store.forget", "done"),
    ];
    assert_eq!(
        actions,
        expected.map(|(action, outcome)| (action.to_owned(), outcome.to_owned()))
    );
    serving.process.stop().await;
    stop(workers).await;
}

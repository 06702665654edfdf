//! How runs and commands end: a run keeps its own times, an exit code says what to do, and a part that is away at the start
//! is waited for.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{
    cluster::{Cluster, RUN},
    powersync::Fault,
    program::stop,
    servers::GUARDED_USER,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// PowerSync refuses a store for a reason that no retry changes.
fn too_many_buckets() -> Fault {
    Fault::Error {
        status: 403,
        code: "PSYNC_S2305",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_changes_nothing_of_the_run_before_it() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(5, 5);
    let faults = cluster.service.faults();
    faults.always_for("store-1", too_many_buckets());
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&["--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let before = cluster.status().await["runs"][0].clone();
    assert_eq!(
        (&before["state"], &before["seeded"], &before["failed"]),
        (&json!("failed"), &json!(4), &json!(1))
    );
    let told = &ended.objects().pop().unwrap()["seconds"];
    assert_eq!(told, &before["seconds"], "the run's own time");

    faults.clear();
    let ended = cluster.program.run(&["retry", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let summary = ended.objects().pop().unwrap();
    assert_eq!(
        (&summary["stores"], &summary["seeded"], &summary["rows"]),
        (&json!(1), &json!(1), &json!(5))
    );
    let rate = summary["rows_per_second"].as_u64().unwrap_or_default();
    assert!(rate <= 50, "5 rows in a tenth of a second or more: {rate}");
    let after = cluster.status().await;
    let runs = after["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1], before);
    assert_eq!(
        (&runs[0]["kind"], &runs[0]["state"]),
        (&json!("retry"), &json!("completed"))
    );
    let failure = &after["failures"][0];
    assert_eq!(
        (&failure["store_id"], &failure["later"]),
        (&json!("store-1"), &json!("completed"))
    );
    cluster.assert_seeded(&stores).await;
    let again = cluster.program.run(&["retry", "--json"]).await;
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(again.objects()[0]["jobs"], 0, "{again}");
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_each_part_that_is_away_and_says_for_which() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(2, 5);
    let source = cluster.postgres.database();
    let table =
        "CREATE TABLE stores AS SELECT 'store-' || n AS store_id FROM generate_series(1, 2) n";
    cluster.postgres.execute_in(&source, table);
    let catalog = Door::to(&cluster.catalog_url).await;
    let broker = Door::to(&cluster.broker_url).await;
    let listed = Door::to(&source).await;
    // Workers and later commands use the front doors; this run, those that are still closed.
    let workers = cluster.start_workers(1);
    cluster.program.set("CATALOG__URL", &catalog.url);
    cluster.program.set("BROKER__URL", &broker.url);
    cluster.program.set("SOURCE__URL", &listed.url);
    cluster
        .program
        .set("SOURCE__QUERY", "SELECT store_id FROM stores");
    cluster.program.set("SYNC__WAIT_FOR_PARTS", "3m");
    let mut run = cluster.program.start(&["run"]);
    for (part, door) in [
        ("waiting for the catalog", catalog),
        ("waiting for RabbitMQ", broker),
        ("waiting for the list of stores", listed),
    ] {
        run.until(part, |run| run.error().contains(part)).await;
        door.open();
    }
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_stays_away_is_code_3_and_what_is_wrong_is_code_2() {
    let mut cluster = Cluster::start().await;
    cluster.add_stores(1, 5);
    cluster.program.set("SYNC__WAIT_FOR_PARTS", "300ms");
    cluster.program.set("BROKER__CONNECT_TIMEOUT", "100ms");
    let guarded = format!("CREATE ROLE {GUARDED_USER} LOGIN PASSWORD 'right'");
    // Another test on this server may have made the role.
    let guarded =
        format!("DO $$ BEGIN {guarded}; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    cluster.postgres.execute(&guarded);
    let wrong_password = cluster
        .catalog_url
        .replace("postgres:unused@", &format!("{GUARDED_USER}:hunter2@"));
    let nobody = cluster.broker_url.replace("guest:guest@", "guest:hunter2@");
    let right = [
        ("CATALOG__URL", cluster.catalog_url.clone()),
        ("BROKER__URL", cluster.broker_url.clone()),
    ];
    let closed = Door::to(&cluster.catalog_url).await.url;
    let closed_broker = Door::to(&cluster.broker_url).await.url;
    // A retry changes the catalog first, whatever the broker's state.
    let with_a_broker: &[&[&str]] = &[&RUN, &["gc"]];
    let on_a_cluster: &[&[&str]] = &[&RUN, &["retry"], &["gc"]];
    let with_a_catalog: &[&[&str]] = &[&RUN, &["retry"], &["gc"], &["status"], &["snapshots"]];
    for (setting, value, code, named, commands) in [
        (
            "CATALOG__URL",
            closed.as_str(),
            3,
            "catalog.url",
            with_a_catalog,
        ),
        (
            "CATALOG__URL",
            &wrong_password,
            2,
            "catalog.url",
            with_a_catalog,
        ),
        (
            "BROKER__URL",
            &closed_broker,
            3,
            "broker.url",
            with_a_broker,
        ),
        ("BROKER__URL", &nobody, 2, "broker.url", on_a_cluster),
        ("BROKER__URL", "redis://here", 2, "broker.url", on_a_cluster),
    ] {
        cluster.program.set(setting, value);
        for command in commands {
            let ended = cluster.program.run(command).await;
            assert_eq!(ended.code, Some(code), "{setting}, {command:?}: {ended}");
            assert!(
                ended.error.contains(named),
                "{setting}, {command:?}: {ended}"
            );
            assert!(!ended.error.contains("hunter2"), "{ended}");
        }
        for (setting, value) in &right {
            cluster.program.set(setting, value);
        }
    }
    let catalog = cluster.catalog().await;
    assert!(
        catalog.runs(1).await.unwrap().is_empty(),
        "nothing was started"
    );
    catalog.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_stores_that_stays_away_is_code_3_and_a_wrong_one_code_2() {
    let mut cluster = Cluster::start().await;
    cluster.add_stores(1, 5);
    cluster.program.set("SYNC__WAIT_FOR_PARTS", "300ms");
    let source = cluster.postgres.database();
    let closed = Door::to(&source).await.url;
    let elsewhere = format!("{source}_that_is_not_there");
    for (url, query, code, named) in [
        (&closed, "SELECT 1 AS store_id", 3, "source.url"),
        (&elsewhere, "SELECT 1 AS store_id", 2, "source.url"),
        (&source, "SELECT store_id FROM nowhere", 2, "source.query"),
        (&source, "SELECT 1 AS store_id WHERE false", 2, "no stores"),
    ] {
        cluster.program.set("SOURCE__URL", url);
        cluster.program.set("SOURCE__QUERY", query);
        let ended = cluster.program.run(&["run", "--json"]).await;
        assert_eq!(ended.code, Some(code), "{query}: {ended}");
        let error: Value = serde_json::from_str(ended.error.lines().last().unwrap()).unwrap();
        assert_eq!(error["exit_code"], code, "{ended}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_ends_at_the_first_signal() {
    let mut cluster = Cluster::start().await;
    cluster.add_stores(1, 5);
    let closed = Door::to(&cluster.broker_url).await.url;
    cluster.program.set("BROKER__URL", &closed);
    let mut run = cluster.program.start(&RUN);
    let waits = "waiting for RabbitMQ";
    run.until(waits, |run| run.error().contains(waits)).await;
    run.signal("TERM");
    let ended = tokio::time::timeout(Duration::from_secs(20), run.end());
    let ended = ended.await.expect("it does not wait on");
    assert_eq!(ended.code, Some(130), "{ended}");
    assert!(ended.error.contains("nothing was started"), "{ended}");
}

/// Another address of a server, where nobody answers until it is opened.
struct Door {
    url: String,
    port: u16,
    behind: String,
}

impl Door {
    /// A closed door to the server of `url`.
    async fn to(url: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        let (_, rest) = url.split_once("@127.0.0.1:").unwrap();
        let (behind, _) = rest.split_once('/').unwrap();
        let behind = format!("127.0.0.1:{behind}");
        Self {
            url: url.replace(&behind, &format!("127.0.0.1:{port}")),
            port,
            behind,
        }
    }

    /// Lets connections through, from now on.
    fn open(self) {
        tokio::spawn(async move {
            let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
            loop {
                let (mut outside, _) = listener.accept().await.unwrap();
                let behind = self.behind.clone();
                tokio::spawn(async move {
                    let mut inside = TcpStream::connect(behind).await.unwrap();
                    // Either side may close it any time.
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
    }
}

//! `deploy/status.schema.json` describes what `seedbed status --json` prints, of each kind that there is.

use std::path::Path;

use testkit::{
    cluster::Cluster,
    machine::{run_node_tests, tools},
    powersync::{Fault, PowerSync},
    program::{Program, stop},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_describes_every_kind_of_status() {
    let answers = tempfile::tempdir().unwrap();
    let keep = async |name: &str, program: &Program, arguments: &[&str]| {
        let arguments = [&["status", "--json"], arguments].concat();
        let ended = program.run(&arguments).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        std::fs::write(answers.path().join(name), ended.output).unwrap();
    };

    // In one process: no run, and then one that is well.
    let service = PowerSync::builder().start().await.unwrap();
    let program = Program::new(&service);
    program.write("stores.csv", "store_id\n1\n1\n");
    let ended = program.run(&["local", "--stores", "stores.csv"]).await;
    assert_eq!(ended.code, Some(2), "{ended}");
    keep("no-run.json", &program, &[]).await;
    service.add_generated_store("1", 5, 1);
    program.write("stores.csv", "store_id\n1\n");
    let ended = program.run(&["local", "--stores", "stores.csv"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    keep("run.json", &program, &[]).await;

    // On a cluster: failures, a quarantine, workers, a run beside the one before it.
    let mut cluster = Cluster::start().await;
    cluster.program.set("SYNC__QUARANTINE_AFTER", "2");
    cluster.add_stores(4, 5);
    let refused = |code| Fault::Error { status: 403, code };
    let busy = Fault::Status {
        status: 429,
        retry_after: Some("600".to_owned()),
    };
    cluster
        .service
        .faults()
        .always_for("store-1", refused("PSYNC_S2305"));
    let workers = cluster.start_workers(1);
    for _ in 0..2 {
        assert_eq!(cluster.run(&[]).await.code, Some(1));
    }
    cluster
        .service
        .faults()
        .always_for("store-2", refused("PSYNC_S2101"));
    assert_eq!(cluster.run(&[]).await.code, Some(1));
    keep("failures-and-quarantine.json", &cluster.program, &[]).await;
    let run = cluster.status().await["runs"][1]["run_id"].clone();
    keep("one-run.json", &cluster.program, &[run.as_str().unwrap()]).await;
    cluster.service.faults().always_for("store-3", busy);
    let mut waiting = cluster.program.start(&testkit::cluster::RUN);
    testkit::wait::until("a store waits for the service", async || {
        cluster.status().await["serviceWait"]["stores"] == 1
    })
    .await;
    keep("waiting.json", &cluster.program, &[]).await;
    assert!(waiting.is_running());
    waiting.kill().await;
    stop(workers).await;

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = root.join("../deploy/status.schema.json");
    let tools = tools("deploy");
    let variables = [
        ("STATUS_SCHEMA", schema.as_path()),
        ("STATUS_ANSWERS", answers.path()),
        ("DEPLOY_TOOLS", tools.as_path()),
    ];
    run_node_tests(&root.join("deploy"), "status.test.js", variables).await;
}

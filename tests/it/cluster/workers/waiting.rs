//! A job that waits in its slot until PowerSync has a stream for it looks like one that runs: who looks is told.

use testkit::{
    cluster::{Cluster, RUN},
    powersync::Fault,
    program::stop,
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_in_its_slot_for_the_services_limit_is_told_of_at_once() {
    let mut cluster = Cluster::start().await;
    // Longer than this test: what is told was news, and no regular heartbeat.
    cluster.program.set("WORKER__HEARTBEAT", "10m");
    cluster.add_stores(2, 5);
    // Short enough to be waited out in the slot, and long enough to be seen.
    let busy = Fault::Status {
        status: 429,
        retry_after: Some("12".to_owned()),
    };
    cluster.service.faults().always_for("store-1", busy);
    let workers = cluster.start_workers(1);
    let run = cluster.program.start(&RUN);
    let told = wait::for_some("a running job waits", async || {
        let status = cluster.status().await;
        (status["serviceWait"]["running"] == 1).then_some(status)
    })
    .await;
    assert_eq!(told["workers"][0]["waiting"], 1, "{told}");
    assert_eq!(told["serviceWait"]["stores"], 0, "{told}");
    wait::until("people are told", async || {
        let shown = cluster.program.run(&["status"]).await;
        shown
            .output
            .contains("1 running job waits since the service")
    })
    .await;

    cluster.service.faults().clear();
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    wait::until("nobody waits any more", async || {
        cluster.status().await["serviceWait"]["running"] == 0
    })
    .await;
    stop(workers).await;
}

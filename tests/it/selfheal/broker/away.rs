//! RabbitMQ or the catalog is away when programs start, work or stop.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use testkit::{
    cluster::{Cluster, RUN},
    powersync::{Fault, Metrics},
    program::{Process, stop},
    servers::RabbitMq,
    serving::{SERVE, Serving},
    wait,
};
use tokio::net::{TcpListener, TcpStream};

/// How long a program may take to stop: its drain time, and more on a busy machine.
const DRAINED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn programs_start_and_stop_while_rabbitmq_is_away() {
    let rabbitmq = Arc::new(RabbitMq::start());
    let mut cluster = Cluster::on(rabbitmq.clone(), None).await;
    Serving::prepare(&mut cluster.program);
    cluster.program.set("WORKER__GRACE", "1s");
    let stores = cluster.add_stores(12, 5);
    let workers = cluster.start_workers(1);
    assert_eq!(cluster.run(&["--limit", "1"]).await.code, Some(0));
    let slow = Fault::Delay(Duration::from_millis(300));
    cluster.service.faults().with_probability(1.0, slow);
    let run = cluster.program.start(&RUN);
    let begun = |metrics: &Metrics| metrics.total.requests >= 3;
    cluster.service.wait_for(begun).await;
    tokio::task::block_in_place(|| rabbitmq.stop());

    // A worker that cannot report, and programs that were never connected.
    let server = Serving::start(&cluster.program, &SERVE).await;
    let mut late = cluster.program.start_worker();
    let ready = server.get("/readyz", None).await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.body, b"ready, without a connection to the broker\n");
    let answer = server.database(&stores[0]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let tries = |process: &Process| process.error().contains("trying again");
    late.until("it tries", tries).await;
    let stopping = Instant::now();
    server.process.stop().await;
    late.stop().await;
    stop(workers).await;
    assert!(stopping.elapsed() < 2 * DRAINED, "{:?}", stopping.elapsed());

    let workers = cluster.start_workers(2);
    tokio::task::block_in_place(|| rabbitmq.resume());
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_without_its_catalog_hands_out_snapshots_once_that_answers() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(1, 5);
    let workers = cluster.start_workers(1);
    assert_eq!(cluster.run(&[]).await.code, Some(0));
    stop(workers).await;

    let mut url = reqwest::Url::parse(&cluster.catalog_url).unwrap();
    let postgres = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    drop(door);
    url.set_port(Some(address.port())).unwrap();
    cluster.program.set("CATALOG__URL", url.as_str());
    let server = Serving::start(&cluster.program, &SERVE).await;
    let ready = server.get("/readyz", None).await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.body, b"the catalog does not answer\n");
    assert_eq!(server.get("/healthz", None).await.status, 200);
    let answer = server.database(&stores[0]).await;
    assert_eq!(answer.refusal(), (503, "unavailable".to_owned()));
    assert_eq!(answer.header("retry-after"), "5");

    let forwarding = tokio::spawn(forward(address, postgres));
    let answer = server.database_until(&stores[0], |answer| answer.status == 200);
    answer.await;
    wait::until("it is ready", async || {
        server.get("/readyz", None).await.body == b"ready\n"
    })
    .await;
    server.process.stop().await;
    forwarding.abort();

    // It stops while it waits, too.
    let server = Serving::start(&cluster.program, &SERVE).await;
    server.process.stop().await;
}

/// Passes connections on, as the server that was away would take them.
async fn forward(at: SocketAddr, to: (String, u16)) {
    let door = TcpListener::bind(at).await.unwrap();
    loop {
        let (mut client, _) = door.accept().await.unwrap();
        let to = to.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

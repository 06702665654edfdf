//! `seedbed serve` on a cluster: what it does without being asked, and that several servers agree.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use seedbed::catalog::RunState;
use serde_json::json;
use testkit::serving::login::{
    browser::{Browser, state_of},
    provider::Provider,
};
use testkit::{
    cluster::{Cluster, RUN},
    objects::ObjectServer,
    powersync::Fault,
    program::stop,
    servers::RabbitMq,
    serving::{SERVE, Serving, client_token, database_path, launch_report},
    wait,
};

/// Waits until `condition` holds of the catalog's newest runs.
async fn until(
    cluster: &Cluster,
    condition: impl Fn(&[seedbed::catalog::RunReport]) -> bool,
) -> Vec<seedbed::catalog::RunReport> {
    let catalog = cluster.catalog().await;
    let runs = wait::for_some("the runs come to that", async || {
        let runs = catalog.runs(100).await.unwrap();
        condition(&runs).then_some(runs)
    });
    let runs = runs.await;
    catalog.close().await;
    runs
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_report_is_recorded_and_handed_out_while_no_run_waits() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(10, 10);
    let servers = join_all((0..2).map(|_| Serving::start(&cluster.program, &SERVE))).await;
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&["--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    until(&cluster, |runs| {
        runs.iter().all(|run| run.state == RunState::Completed)
    })
    .await;
    cluster.assert_seeded(&stores).await;
    for (server, store) in servers.iter().zip(&stores) {
        let answer = server.database(store).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for server in servers {
        server.process.stop().await;
    }
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_several_servers_take_counts_once() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    cluster.program.set("REPORTS__PER_STORE", "2");
    let [store, other] = ["busy", "other"];
    cluster.add_stores(1, 1);
    let servers = join_all((0..2).map(|_| Serving::start(&cluster.program, &SERVE))).await;
    let sent = (0..8).map(|n| servers[n % 2].report(store, launch_report(1)));
    for answer in join_all(sent).await {
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    assert_eq!(servers[0].report(store, launch_report(2)).await.status, 204);
    // The store has sent what it may, whichever server it asks; another has not.
    let refused = servers[1].report(store, launch_report(3)).await;
    assert_eq!(refused.refusal(), (429, "too_many_reports".to_owned()));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((3_000..=3_600).contains(&wait), "{wait}");
    assert_eq!(servers[1].report(store, launch_report(1)).await.status, 204);
    assert_eq!(servers[1].report(other, launch_report(3)).await.status, 204);
    for server in &servers {
        let launches = server.admin("/api/launches").await.json();
        assert_eq!(launches["groups"][0]["launches"], 3, "{launches}");
        assert_eq!(launches["groups"].as_array().unwrap().len(), 1);
    }
    for server in servers {
        server.process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_start_one_run_for_each_scheduled_time() {
    let mut cluster = Cluster::start().await;
    // Every second, which only tests want.
    cluster.program.set("SERVE__SCHEDULE", "* * * * * *");
    cluster.add_stores(2, 5);
    let workers = cluster.start_workers(1);
    let servers = join_all((0..3).map(|_| Serving::start(&cluster.program, &SERVE))).await;
    let runs = until(&cluster, |runs| {
        runs.iter()
            .filter(|run| run.state == RunState::Completed)
            .count()
            >= 3
    });
    let mut seconds: Vec<i64> = runs
        .await
        .iter()
        .map(|run| run.started_at.timestamp())
        .collect();
    let started = seconds.len();
    seconds.dedup();
    // A listing may be late by a second, so that two scheduled times fall into one; three servers would make three of
    // each.
    assert!(
        started <= seconds.len() + 1,
        "{started} runs in {seconds:?}"
    );
    drop(servers);
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_coordinator_was_killed_is_brought_to_its_end() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(20, 10);
    let slow = Fault::Delay(Duration::from_millis(50));
    cluster.service.faults().with_probability(1.0, slow);
    let run = cluster.program.start(&RUN);
    until(&cluster, |runs| !runs.is_empty()).await;
    assert!(run.kill().await);
    let server = Serving::start(&cluster.program, &SERVE).await;
    let workers = cluster.start_workers(2);
    until(&cluster, |runs| runs[0].state == RunState::Completed).await;
    cluster.assert_seeded(&stores).await;
    server.process.stop().await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_that_the_broker_is_away_while_serving_goes_on() {
    let rabbitmq = std::sync::Arc::new(RabbitMq::start());
    let mut cluster = Cluster::on(rabbitmq.clone(), None).await;
    Serving::prepare(&mut cluster.program);
    cluster.add_stores(2, 5);
    let server = Serving::start(&cluster.program, &SERVE).await;
    let ready = async |expected: &str| {
        wait::until(expected, async || {
            let answer = server.get("/readyz", None).await;
            assert_eq!(answer.status, 200);
            answer.body == expected.as_bytes()
        })
        .await;
    };
    ready("ready\n").await;
    rabbitmq.stop();
    ready("ready, without a connection to the broker\n").await;
    assert_eq!(server.get("/healthz", None).await.status, 200);
    let answer = server.get(&database_path("store-1"), None).await;
    assert_eq!(answer.status, 401);
    let resumed = tokio::task::spawn_blocking(move || rabbitmq.resume());
    resumed.await.unwrap();
    ready("ready\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_from_s3_goes_by_a_url_that_s3_signs_for_the_endpoint_of_clients() {
    let mut cluster = Cluster::on(RabbitMq::shared(), Some(ObjectServer::s3().await)).await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(1, 10);
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let server = Serving::start(&cluster.program, &SERVE).await;
    let answer = server.database(&stores[0]).await.json();
    let url = answer["databaseUrl"].as_str().unwrap();
    let file = server.get(url, None).await;
    assert_eq!(file.status, 200);
    assert_eq!(answer["bytes"], file.body.len() as u64);
    let (path, signature) = url.split_once("X-Amz-Signature=").unwrap();
    let signature: String = signature.chars().rev().collect();
    let altered = format!("{path}X-Amz-Signature={signature}");
    let altered = server.get(&altered, None).await;
    assert_eq!(altered.status, 403);
    assert!(server.process.kill().await);

    cluster
        .program
        .set("DOWNLOAD__STORE_ENDPOINT", "https://s3.clients.example.com");
    let server = Serving::start(&cluster.program, &SERVE).await;
    let answer = server.database(&stores[0]).await.json();
    let url = answer["databaseUrl"].as_str().unwrap();
    assert!(url.starts_with("https://s3.clients.example.com/"), "{url}");
    let token = client_token(serde_json::json!({"store_id": "store-1"}));
    let none = server
        .get(
            "/snapshots/store-1/x.sqlite?expires=1&signature=x",
            Some(&token),
        )
        .await;
    assert_eq!(none.refusal(), (404, "unknown_path".to_owned()));
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_needs_a_broker_that_workers_reach_and_a_list_that_can_be_read_again() {
    let mut cluster = Cluster::start().await;
    let stdin = cluster.program.run(&["serve", "--stores", "-"]).await;
    assert_eq!(stdin.code, Some(2), "{stdin}");
    assert!(stdin.error.contains("read only once"), "{stdin}");
    cluster.add_stores(1, 1);
    cluster.program.set("BROKER__URL", "memory:");
    let memory = cluster.program.run(&SERVE).await;
    assert_eq!(memory.code, Some(2), "{memory}");
    assert!(memory.error.contains("broker.url"), "{memory}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_on_one_server_is_refused_by_all_at_once() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    cluster.add_stores(1, 1);
    let servers = join_all((0..2).map(|_| Serving::start(&cluster.program, &SERVE))).await;
    let asked = json!({"name": "grafana", "role": "viewer"});
    let made = servers[0].post("/api/tokens", Some(asked)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(servers[1].get("/api/runs", Some(&token)).await.status, 200);
    let watching = servers[1].request(Method::GET, "/api/events");
    let mut watching = watching.bearer_auth(&token).send().await.unwrap();
    assert!(watching.chunk().await.unwrap().is_some());
    let revoked = servers[0].post("/api/tokens/grafana/revoke", None).await;
    assert_eq!(revoked.json()["revoked"], 1);
    for server in &servers {
        assert_eq!(server.get("/api/runs", Some(&token)).await.status, 401);
    }
    // What it has opened ends with the next news.
    let news = cluster.run(&["--no-wait"]).await;
    assert_eq!(news.code, Some(0), "{news}");
    let ended = async { while watching.chunk().await.unwrap().is_some() {} };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
    ended.expect("the stream ends");
    for server in servers {
        server.process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_at_one_server_is_known_to_all_and_out_of_all_when_signing_out() {
    let provider = Provider::start().await;
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    provider.sign_in_at(&mut cluster.program);
    cluster.add_stores(1, 1);
    let servers = join_all((0..2).map(|_| Serving::start(&cluster.program, &SERVE))).await;
    let mut browser = Browser::default();
    let asked = browser.begin(&servers[0], "/").await;
    let (code, state) = (provider.code_for(&asked), state_of(&asked));
    let back = [("code", code.as_str()), ("state", state.as_str())];
    let answer = browser.come_back(&servers[1], &back).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    for server in &servers {
        assert_eq!(browser.session(server).await["role"], "operator");
        assert_eq!(browser.get(server, "/api/overview").await.status, 200);
    }
    let csrf = browser.session(&servers[0]).await["csrf"].clone();
    let kept = browser.clone();
    let out = browser.post(&servers[0], "/api/session/end", csrf.as_str(), json!({}));
    assert_eq!(out.await.status, 204);
    for server in &servers {
        let refused = kept.clone().get(server, "/api/overview").await;
        assert_eq!(refused.refusal(), (401, "unauthorized".to_owned()));
    }
}

//! Several servers with snapshots in a directory, and no secret that somebody has set.

use testkit::{
    cluster::Cluster,
    program::stop,
    serving::{SERVE, Serving},
};

use super::support::connect;

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_one_server_signed_is_good_on_another_and_after_it_is_gone() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(1, 10);
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Serving::start(&cluster.program, &SERVE).await);
    }
    // All of them sign before one of them can have told another.
    let asked = servers.iter().map(|server| server.database(&stores[0]));
    let answers = futures::future::join_all(asked).await;
    let urls: Vec<String> = answers
        .iter()
        .zip(&servers)
        .map(|(answer, server)| {
            let url = answer.json()["databaseUrl"].as_str().unwrap().to_owned();
            url.strip_prefix(&server.url).unwrap().to_owned()
        })
        .collect();
    let gone = servers.remove(0).process.stop().await;
    for server in &servers {
        for url in &urls {
            let file = server.get(url, None).await;
            assert_eq!(file.status, 200, "{file:?}");
            let altered = server
                .get(&url.replace("expires=", "expires=1"), None)
                .await;
            assert_eq!(altered.status, 403);
        }
    }
    let mut outputs = vec![gone];
    for server in servers {
        outputs.push(server.process.stop().await);
    }
    let secret = "SELECT value FROM secrets WHERE name = 'signing'";
    let secret: String = sqlx::query_scalar(secret)
        .fetch_one(&mut connect(&cluster.catalog_url).await)
        .await
        .unwrap();
    assert!(secret.len() >= 32);
    for ended in outputs {
        let said = format!("{}{}", ended.output, ended.error);
        assert!(!said.contains(&secret), "the secret was logged");
    }
    stop(workers).await;
}

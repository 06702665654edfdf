//! `seedbed check` on a cluster whose snapshots are in S3: what it finds, and that it leaves nothing behind.

mod queues;

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use futures::TryStreamExt;
use serde_json::json;
use testkit::serving::login::provider::{Provider, REDIRECT};
use testkit::{
    cluster::Cluster,
    objects::ObjectServer,
    servers::{Postgres, RabbitMq},
    serving::Serving,
    wait,
};

async fn on_s3() -> Cluster {
    let mut cluster = Cluster::on(RabbitMq::shared(), Some(ObjectServer::s3().await)).await;
    Serving::prepare(&mut cluster.program);
    cluster
}

/// Asserts that one part fails, and what it says.
async fn fails(cluster: &Cluster, part: &str, said: &[&str]) {
    let parts = cluster.program.check(1).await;
    let failed: Vec<_> = parts.iter().filter(|(_, (ok, _))| !ok).collect();
    assert_eq!(failed.len(), 1, "{parts:?}");
    let (ok, detail) = &parts[part];
    assert!(
        !ok && said.iter().all(|said| detail.contains(said)),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_downloads_by_a_signed_url_and_compares_all_clocks() {
    let cluster = on_s3().await;
    let workers = cluster.start_workers(1);
    cluster.add_stores(1, 5);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let parts = cluster.program.check(0).await;
    assert!(
        parts["downloads"].1.contains("a signed URL was downloaded"),
        "{parts:?}"
    );
    for clock in ["PowerSync", "the object store", "the catalog"] {
        assert!(
            parts["clock"].1.contains(&format!("{clock} agrees")),
            "{parts:?}"
        );
    }
    for (part, said) in [
        ("disk", "with the largest store"),
        ("token", "renewed on the way"),
        ("catalog", "connections are free"),
    ] {
        assert!(parts[part].1.contains(said), "{parts:?}");
    }
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_only_devices_reach_is_said_to_be_untried() {
    let mut cluster = on_s3().await;
    cluster.add_stores(1, 5);
    let elsewhere = "http://127.0.0.1:9";
    cluster.program.set("DOWNLOAD__STORE_ENDPOINT", elsewhere);
    let (ok, detail) = cluster.program.check(0).await["downloads"].clone();
    assert!(ok && detail.contains("download.store_endpoint"), "{detail}");
    assert!(
        detail.contains("Not tried") && detail.contains(elsewhere),
        "{detail}"
    );
    assert!(!detail.contains("X-Amz-Signature"), "{detail}");
    let public = "https://seedbed.example.com";
    cluster.program.set("SERVE__PUBLIC_URL", public);
    let said = ["their own machine", "download.store_endpoint"];
    fails(&cluster, "downloads", &said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_the_bucket_does_not_allow_are_found() {
    let mut cluster = on_s3().await;
    cluster.add_stores(1, 5);
    let page = "https://app.example.com";
    cluster.program.set("SERVE__CORS_ORIGINS", page);
    fails(&cluster, "downloads", &[page, "CORS rule"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_leaves_no_table_and_no_object_behind() {
    let postgres = Postgres::shared();
    let mut cluster = on_s3().await;
    cluster.add_stores(1, 5);
    let url = postgres.database();
    cluster.program.set("CATALOG__URL", &url);
    let (_, told) = cluster.program.check(0).await["catalog"].clone();
    assert!(told.contains("the first run makes them"), "{told}");
    let none = "DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = 'public') THEN \
                RAISE EXCEPTION 'there are tables'; END IF; END $$";
    postgres.execute_in(&url, none);
    let objects: Vec<_> = cluster.snapshots().list().try_collect().await.unwrap();
    assert!(objects.is_empty(), "{objects:?}");
    // What the first run could not make is found.
    let revoked = "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE narrow LOGIN; \
                   GRANT USAGE ON SCHEMA public TO narrow";
    postgres.execute_in(&url, revoked);
    let narrow = url.replacen("//postgres:", "//narrow:", 1);
    assert_ne!(narrow, url, "the user is in {url}");
    cluster.program.set("CATALOG__URL", &narrow);
    fails(&cluster, "catalog", &["GRANT"]).await;
    // Fewer connections than one coordinator takes.
    postgres.execute_in(
        &url,
        "GRANT CREATE ON SCHEMA public TO narrow; ALTER ROLE narrow CONNECTION LIMIT 5",
    );
    fails(
        &cluster,
        "catalog",
        &["5 connections", "takes up to 8", "PgBouncer"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_overrides_a_limit_of_the_queues_is_found() {
    let rabbitmq = Arc::new(RabbitMq::start_with_management());
    let mut cluster = Cluster::on(rabbitmq.clone(), Some(ObjectServer::s3().await)).await;
    cluster.add_stores(1, 5);
    let vhost = cluster.broker_url.rsplit('/').next().unwrap().to_owned();
    // Nobody listens at the usual port of a test's server.
    cluster
        .program
        .set("BROKER__MANAGEMENT_URL", "http://127.0.0.1:9");
    let (ok, told) = cluster.program.check(0).await["policies"].clone();
    assert!(ok && told.contains("not tried"), "{told}");
    let url = rabbitmq.management_url();
    cluster.program.set("BROKER__MANAGEMENT_URL", url);
    let (ok, told) = cluster.program.check(0).await["policies"].clone();
    assert!(ok && told.starts_with("no policy changes"), "{told}");
    let policy = r#"{"message-ttl": 60000}"#;
    let set = ["set_policy", "-p", &vhost, "short", "^seed\\.jobs$", policy];
    rabbitmq.ctl(&set);
    // The API shows it a little later.
    wait::until("the policy is seen", async || {
        let check = ["check", "--stores", "stores.ndjson"];
        cluster.program.run(&check).await.code == Some(1)
    })
    .await;
    let said = ["seed.jobs", "short", "message-ttl to 60000", "clear_policy"];
    fails(&cluster, "policies", &said).await;
    // A user who may not look.
    rabbitmq.add_user("narrow", "secret");
    rabbitmq.allow("narrow", &vhost);
    let url = rabbitmq.url_with("narrow:secret", &vhost);
    cluster.program.set("BROKER__URL", url);
    let (ok, told) = cluster.program.check(0).await["policies"].clone();
    assert!(
        ok && told.contains("not tried") && told.contains("monitoring"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_logins_that_is_another_one_is_found() {
    let provider = Provider::start().await;
    let mut cluster = on_s3().await;
    cluster.add_stores(1, 5);
    provider.sign_in_at(&mut cluster.program);
    let (ok, told) = cluster.program.check(0).await["login"].clone();
    assert!(
        ok && told.contains("2 keys") && told.contains(REDIRECT),
        "{told}"
    );
    provider.says().document = json!({"issuer": "https://id.example.com"});
    fails(
        &cluster,
        "login",
        &["https://id.example.com", "login.issuer"],
    )
    .await;
    cluster.program.set("LOGIN__ISSUER", "http://127.0.0.1:9");
    fails(&cluster, "login", &["http://127.0.0.1:9"]).await;
    // What no server would start with.
    cluster.program.set("LOGIN__CLIENT_ID", "");
    let ended = cluster.program.run(&["check"]).await;
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(ended.error.contains("login.client_id"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_room_for_jobs_is_no_worker_and_a_short_token_is_none() {
    let mut cluster = on_s3().await;
    cluster.add_stores(1, 5);
    let blocked = cluster.program.path("blocked");
    // A file, where a read-only root would have nothing: also root cannot make a directory in it.
    std::fs::write(&blocked, "").unwrap();
    std::fs::set_permissions(&blocked, std::fs::Permissions::from_mode(0o400)).unwrap();
    let directory = blocked.join("work").display().to_string();
    cluster.program.set("WORKER__DIRECTORY", directory);
    let (ok, detail) = cluster.program.check(0).await["powersync"].clone();
    assert!(ok && detail.contains("not tried"), "{detail}");
    assert!(detail.contains("worker.directory"), "{detail}");
    cluster.program.set("TOKEN__LIFETIME", "20s");
    fails(&cluster, "token", &["token.lifetime is 20s", "1m 10s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_looked_at_is_not_bad() {
    let mut cluster = on_s3().await;
    let workers = cluster.start_workers(1);
    cluster.add_stores(2, 5);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    drop(workers);
    let nowhere = cluster.program.path("nowhere").display().to_string();
    cluster.program.set_variable("TMPDIR", nowhere);
    let ended = cluster.program.run(&["verify", "--sample", "2"]).await;
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(ended.error.contains("not checked: "), "{ended}");
    assert!(ended.error.contains("TMPDIR"), "{ended}");
    assert!(!ended.error.contains("bad: "), "{ended}");
}

//! `seedbed check` on a cluster whose snapshots are in S3.

use testkit::{cluster::Cluster, objects::ObjectServer, servers::RabbitMq, serving::Serving};

#[tokio::test(flavor = "multi_thread")]
async fn check_downloads_by_a_signed_url_and_compares_all_clocks() {
    let mut cluster = Cluster::on(RabbitMq::shared(), Some(ObjectServer::s3().await)).await;
    Serving::prepare(&mut cluster.program);
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
    cluster
        .program
        .set("DOWNLOAD__STORE_ENDPOINT", "http://127.0.0.1:9");
    let (ok, detail) = cluster.program.check(1).await["downloads"].clone();
    assert!(
        !ok && detail.contains("download.store_endpoint"),
        "{detail}"
    );
    assert!(!detail.contains("X-Amz-Signature"), "{detail}");
    drop(workers);
}

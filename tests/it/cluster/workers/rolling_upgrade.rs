//! Real programs of two versions at the same time: this one, and the revision before the newest migration of the catalog, which
//! `tests/run.sh` builds from the repository's history. What it proves is true of exactly these two: each understands the other's
//! messages, manifests and snapshots, and the old servers go on after the new ones have migrated the catalog under them.

use std::path::PathBuf;

use serde_json::json;
use testkit::{
    cluster::Cluster,
    machine::{leave_out, tools},
    program::{Ended, stop},
    serving::{SERVE, Serving},
    wait,
};

/// Where the programs of the version before are; `None`, and a line that says so, where they were not built.
fn version_before() -> Option<PathBuf> {
    let folder = tools("before");
    let is_built = folder.join("seedbed-worker").exists();
    if !is_built {
        leave_out(
            "a rolling upgrade from the version before",
            "tests/run.sh cluster in a clone with its history, which builds that version: minutes, once",
        );
    }
    is_built.then_some(folder)
}

/// Changes a row of each store, so that a run has something to do.
fn change(cluster: &Cluster, stores: &[String], name: &str) {
    for store in stores {
        let id = format!("changed-{store}");
        let row = json!({ "id": id, "store_id": store, "name": name });
        cluster.service.put("products", row);
    }
}

fn assert_seeded(ended: &Ended, stores: &[String]) {
    assert_eq!(ended.code, Some(0), "{ended}");
    let summary = ended.objects().pop().expect("a run has a summary");
    assert_eq!(summary["seeded"], stores.len(), "{summary}");
}

/// Waits until the newest run has seeded every store, as the server says.
async fn until_completed(server: &Serving, what: &str) {
    wait::until(what, async || {
        let answer = server.admin("/api/runs?limit=1").await.json();
        answer["runs"][0]["state"] == "completed"
    })
    .await;
}

async fn migrations(cluster: &Cluster) -> i64 {
    let pool = sqlx::PgPool::connect(&cluster.catalog_url).await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations");
    let count = count.fetch_one(&pool).await.unwrap();
    pool.close().await;
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_two_versions_work_together_while_one_replaces_the_other() {
    let Some(before) = version_before() else {
        return;
    };
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(10, 30);
    let (old, new) = (Some(before), None);

    // Everything is old.
    cluster.program.set_version(old.clone());
    let old_server = Serving::start(&cluster.program, &SERVE).await;
    let old_workers = cluster.start_workers(1);
    assert_seeded(&cluster.run(&["--json"]).await, &stores);
    stop(old_workers).await;
    let old_migrations = migrations(&cluster).await;

    // New workers do what old coordinators ask, from old snapshots.
    cluster.program.set_version(new.clone());
    let new_workers = cluster.start_workers(1);
    cluster.program.set_version(old.clone());
    change(&cluster, &stores, "by a new worker");
    assert_seeded(&cluster.run(&["--json"]).await, &stores);
    assert_eq!(migrations(&cluster).await, old_migrations);
    stop(new_workers).await;

    // The first new coordinator migrates the catalog, and the old one goes on: it hands out snapshots, and starts a run.
    cluster.program.set_version(new.clone());
    let new_server = Serving::start(&cluster.program, &SERVE).await;
    assert!(migrations(&cluster).await > old_migrations);
    for server in [&old_server, &new_server] {
        assert_eq!(server.database(&stores[0]).await.status, 200);
    }
    cluster.program.set_version(old.clone());
    let old_workers = cluster.start_workers(1);
    change(&cluster, &stores, "by an old worker");
    let made = old_server.post("/api/runs", Some(json!({}))).await;
    assert_eq!(made.status, 202, "{made:?}");

    // Old workers do what new coordinators ask.
    cluster.program.set_version(new.clone());
    until_completed(&old_server, "the run that the old server started").await;
    cluster.assert_seeded(&stores).await;
    change(&cluster, &stores, "by an old worker for a new coordinator");
    assert_seeded(&cluster.run(&["--json"]).await, &stores);
    cluster.assert_seeded(&stores).await;

    // With the new one gone, the old server records what old workers report.
    assert!(new_server.process.kill().await);
    change(&cluster, &stores, "recorded by the old server");
    let published = cluster.run(&["--no-wait"]).await;
    assert_eq!(published.code, Some(0), "{published}");
    until_completed(&old_server, "the run that the old server records").await;
    cluster.assert_seeded(&stores).await;

    // An old one that is started now refuses, and says why; the new ones go on alone.
    cluster.program.set_version(old);
    let refused = cluster.program.run(&["status"]).await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.error.contains("newer version"), "{refused}");
    stop(old_workers).await;
    old_server.process.stop().await;
    cluster.program.set_version(new);
    let new_workers = cluster.start_workers(1);
    change(&cluster, &stores, "by new ones alone");
    assert_seeded(&cluster.run(&["--json"]).await, &stores);
    cluster.assert_seeded(&stores).await;
    stop(new_workers).await;
}

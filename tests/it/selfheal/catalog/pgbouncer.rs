//! Catalog and list of stores through PgBouncer in transaction mode, which gives each transaction another connection.

use chrono::DateTime;
use futures::{TryStreamExt, future::join_all};
use seedbed::{
    catalog::Catalog,
    settings::SourceConfig,
    source::{Store, StoreSource},
};
use seedbed_protocol::settings::Secret;
use testkit::{
    cluster::{Cluster, RUN},
    program::stop,
    servers::{PgBouncer, Postgres},
    serving::{SERVE, Serving},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_works_through_a_pool_of_transactions() {
    let mut cluster = Cluster::start().await;
    let bouncer = PgBouncer::start(&cluster.postgres);
    let pooled = bouncer.url(&cluster.catalog_url);
    cluster.program.set("CATALOG__URL", &pooled);
    cluster.catalog_url = pooled;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(40, 5);
    let servers = join_all((0..2).map(|_| Serving::start(&cluster.program, &SERVE))).await;
    let workers = cluster.start_workers(2);
    // Two commands, so that four processes use the pool at once.
    let runs = join_all((0..2).map(|_| cluster.program.run(&RUN))).await;
    for ended in runs {
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    cluster.assert_seeded(&stores).await;
    for store in &stores {
        for server in &servers {
            let answer = server.database(store).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    let collected = cluster.program.run(&["gc"]).await;
    assert_eq!(collected.code, Some(0), "{collected}");
    for server in servers {
        let ended = server.process.stop().await;
        assert!(!ended.error.contains("ERROR"), "{ended}");
    }
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_open_a_new_catalog_through_a_pool_migrate_it_once() {
    let postgres = Postgres::shared();
    let bouncer = PgBouncer::start(&postgres);
    let url = bouncer.url(&postgres.database());
    let opened = join_all((0..8).map(|_| Catalog::open(&url))).await;
    for catalog in opened {
        let catalog = catalog.unwrap();
        catalog.ping().await.unwrap();
        catalog.close().await;
    }
    // What a session left behind would be found by the next.
    Catalog::open(&url).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_stores_are_read_at_the_same_time_through_a_pool() {
    let postgres = Postgres::shared();
    let bouncer = PgBouncer::start(&postgres);
    let url = bouncer.url(&postgres.database());
    let list = async |number: usize| -> Vec<Store> {
        let config = SourceConfig {
            url: Some(Secret::new(url.as_str())),
            query: Some(format!(
                "SELECT {number} AS store_id, 0.1::float8 AS rate, n FROM generate_series(1, 2000) n \
                 WHERE now() > :since"
            )),
            collection: None,
            filter: None,
            fields: None,
            store_id: "n".to_owned(),
        };
        let source = StoreSource::new(None, None, &config).unwrap();
        let stores = source.stores(DateTime::UNIX_EPOCH);
        stores.try_collect().await.unwrap()
    };
    let lists = join_all((0..10).map(list)).await;
    for (number, stores) in lists.iter().enumerate() {
        assert_eq!(stores.len(), 2000);
        let of_this_query = |store: &Store| store.scope.claims.0["store_id"] == number;
        assert!(stores.iter().all(of_this_query));
        assert_eq!(stores[0].scope.claims.0["rate"], 0.1);
    }
}

//! How large stores are and were, and what clients were told to download.

use chrono::{DateTime, TimeDelta, Utc};
use seedbed::catalog::{SizeOrder, SizeTotals};
use seedbed_protocol::manifest::{Encoding, Form};

use crate::cluster::catalog::fixture::Fixture;

on_both!(
    sizes_are_those_of_what_clients_got_on_each_day,
    what_is_handed_out_adds_up_for_a_day,
);

/// One snapshot of a store: its name, when it was made and when its time was over, in days before now.
struct Snapshot {
    store: &'static str,
    made: i64,
    over: Option<i64>,
    state: &'static str,
    bytes: i64,
    objects: &'static str,
}

const SNAPSHOTS: [Snapshot; 4] = [
    Snapshot {
        store: "grows",
        made: 40,
        over: Some(10),
        state: "deleted",
        bytes: 100,
        objects: "NULL",
    },
    Snapshot {
        store: "grows",
        made: 10,
        over: None,
        state: "live",
        bytes: 300,
        objects: "450",
    },
    Snapshot {
        store: "retired",
        made: 20,
        over: None,
        state: "live",
        bytes: 1_000,
        objects: "NULL",
    },
    Snapshot {
        store: "young",
        made: 2,
        over: None,
        state: "live",
        bytes: 50,
        objects: "NULL",
    },
];

/// Noon, so that no day of the test is cut by midnight.
fn noon(days_ago: i64) -> DateTime<Utc> {
    let today = Utc::now().date_naive().and_hms_opt(12, 0, 0).unwrap();
    today.and_utc() - TimeDelta::days(days_ago)
}

async fn write_snapshots(fixture: &Fixture) {
    let at = |days_ago| noon(days_ago).timestamp_millis();
    let mut statements = format!(
        "INSERT INTO stores (store_id, seen_in, position, retired_at) VALUES \
             ('grows', 'x', 1, NULL), ('young', 'x', 2, NULL), ('retired', 'x', 3, {}); \
         INSERT INTO runs (id, kind, state, started_at, finished_at) VALUES ('r', 'run', 'completed', 1, 1);",
        at(5)
    );
    for (number, snapshot) in SNAPSHOTS.iter().enumerate() {
        let Snapshot {
            store,
            state,
            bytes,
            objects,
            ..
        } = snapshot;
        let made = at(snapshot.made);
        let over = snapshot
            .over
            .map_or("NULL".to_owned(), |days| at(days).to_string());
        statements += &format!(
            "INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, listed_at, finished_at) \
             VALUES ('{number}', 'r', '{store}', 1, '{{}}', 'retried', 1, 1, 1); \
             INSERT INTO snapshots (job_id, attempt, run_id, store_id, manifest, row_count, byte_count, last_op_id, \
                 created_at, verified_at, state, superseded_at, object_bytes, synced_bytes) \
             VALUES ('{number}', 1, 'r', '{store}', '{{}}', 7, {bytes}, 1, {made}, {made}, '{state}', {over}, \
                 {objects}, 20);"
        );
    }
    fixture.execute(&statements).await;
}

async fn sizes_are_those_of_what_clients_got_on_each_day(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let (since, until) = (noon(30), noon(0));
    assert_eq!(catalog.size_totals().await.unwrap(), SizeTotals::default());
    let empty = catalog.size_days(since, until).await.unwrap();
    assert!(empty.len() == 31 && empty.iter().all(|day| day.bytes == 0));

    write_snapshots(&fixture).await;
    let expected = SizeTotals {
        stores: 2,
        bytes: 350,
        rows: 14,
        stored_snapshots: 3,
        stored_bytes: 450 + 1_000 + 50,
    };
    assert_eq!(catalog.size_totals().await.unwrap(), expected);
    let days = catalog.size_days(since, until).await.unwrap();
    let on = |days_ago: usize| &days[30 - days_ago];
    for (days_ago, bytes) in [
        (30, 100),
        (21, 100),
        (20, 1_100),
        (11, 1_100),
        (10, 1_300),
        (6, 1_300),
        (5, 300),
        (3, 300),
        (2, 350),
        (0, 350),
    ] {
        assert_eq!(on(days_ago).bytes, bytes, "{days_ago} days ago");
    }
    assert_eq!((on(10).uploaded_bytes, on(10).synced_bytes), (450, 20));
    assert_eq!((on(9).uploaded_bytes, on(9).synced_bytes), (0, 0));

    let listed = async |since, order, limit| {
        let stores = catalog.store_sizes(since, order, limit).await.unwrap();
        let sizes = stores.into_iter();
        sizes
            .map(|of| (of.store_id, of.bytes, of.bytes_before))
            .collect::<Vec<_>>()
    };
    let grows = ("grows".to_owned(), 300, 100);
    let young = ("young".to_owned(), 50, 50);
    let by_growth = listed(since, SizeOrder::Growth, 10).await;
    assert_eq!(by_growth, [grows.clone(), young.clone()]);
    assert_eq!(listed(since, SizeOrder::Bytes, 1).await, [grows]);
    let before = catalog.bytes_before(since).await.unwrap();
    assert_eq!(before, 150, "as the stores together");
    // In the last nine days nothing grew.
    let lately = listed(noon(9), SizeOrder::Store, 10).await;
    assert_eq!(lately, [("grows".to_owned(), 300, 300), young]);
}

async fn what_is_handed_out_adds_up_for_a_day(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let other = fixture.another().await;
    let compact = (Form::Compact, Encoding::Gzip);
    catalog.add_handed_out(compact, 2, 20).await.unwrap();
    other.add_handed_out(compact, 1, 10).await.unwrap();
    let file = (Form::File, Encoding::Identity);
    catalog.add_handed_out(file, 1, 99).await.unwrap();
    let since = Utc::now() - TimeDelta::days(1);
    let handed = catalog.handed_out(since).await.unwrap();
    let kinds = handed
        .iter()
        .map(|of| (&*of.form, &*of.encoding, of.downloads, of.bytes));
    let expected = [("compact", "gzip", 3, 30), ("file", "identity", 1, 99)];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
    let later = Utc::now() + TimeDelta::days(1);
    assert_eq!(catalog.handed_out(later).await.unwrap(), []);
    // Today's stay; those of a day go once all of it is over for long enough.
    assert_eq!(catalog.forget_handed_out(since).await.unwrap(), 0);
    assert_eq!(catalog.handed_out(since).await.unwrap().len(), 2);
    assert_eq!(catalog.forget_handed_out(later).await.unwrap(), 2);
    assert_eq!(catalog.handed_out(since).await.unwrap(), []);
    other.close().await;
}

//! Bases that are not started from: made otherwise, missing, damaged, lying, or too costly.

use chrono::{TimeDelta, Utc};
use rusqlite::Connection;
use seedbed_protocol::{
    manifest::{Encoding, FullReason, Way},
    message::{BaseSnapshot, StreamSubscription},
    snapshots::{SnapshotPart, latest_key},
};
use seedbed_worker::settings::WorkerSettings;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{
    pipeline::{End, Pipeline, job, same_rows, starting_from},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
};

use super::support::{Content, ROWS, Reuse, STORE, change_rows, plain_job};

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_this_worker_would_not_have_made_is_left_alone() {
    let mut reuse = Reuse::start().await;
    type Change = fn(&mut BaseSnapshot);
    let cases: [(Change, FullReason); 6] = [
        (|base| base.schema_fingerprint.clear(), FullReason::Schema),
        (|base| base.core_version.push('0'), FullReason::CoreVersion),
        (
            |base| base.powersync_endpoint.push('x'),
            FullReason::Endpoint,
        ),
        (
            |base| base.renditions[0].encoding = Encoding::Gzip,
            FullReason::Renditions,
        ),
        (|base| base.renditions.clear(), FullReason::Renditions),
        (
            |base| base.selection_fingerprint.clear(),
            FullReason::Selection,
        ),
    ];
    for (change, because) in cases {
        let streams = reuse.service.metrics().total.streams;
        let made = reuse.made_from(change).await;
        assert_eq!(made.way(), Way::Full(because));
        assert_eq!(reuse.service.metrics().total.streams, streams + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_damaged_file_of_the_base_means_a_full_download() {
    let mut reuse = Reuse::start().await;
    // Of another size; what has the right size is only read when it is needed.
    let file = reuse.first_file();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let because = Way::Full(FullReason::BaseFile);
    assert_eq!(reuse.made().await.way(), because);

    reuse.change_rows(2);
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    assert_eq!(reuse.made().await.way(), because);

    std::fs::remove_file(&file).unwrap();
    let made = reuse.made().await;
    assert_eq!(made.way(), because);
    same_rows(&reuse.service, STORE, &reuse.pipeline.file(&made));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_copy_below_latest_is_made() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store(STORE, ROWS, 1);
    let change = |settings: &mut WorkerSettings| settings.snapshots.latest = true;
    let mut pipeline = Pipeline::start_with(&service, change).await;
    let first = pipeline.seed(STORE).await.unwrap();
    let same = pipeline.end(starting_from(&first, plain_job())).await;
    assert!(matches!(same.unwrap(), End::Unchanged(_)));
    let copy = latest_key(&first.store_id, SnapshotPart::Manifest);
    let copy = pipeline.snapshots.local_path(&copy).unwrap();
    std::fs::remove_file(&copy).unwrap();
    let made = pipeline
        .run(starting_from(&first, plain_job()))
        .await
        .unwrap();
    assert_eq!(made.way(), Way::Full(FullReason::BaseFile));
    assert!(copy.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_lies_is_found_out_and_replaced_in_the_same_attempt() {
    // Whoever can give a base another hash can lie about rows that do not change: a whole verification finds that.
    let whole = |settings: &mut WorkerSettings| settings.verify.whole_every = 1;
    let mut reuse = Reuse::start_with(ROWS, whole).await;
    reuse.change_rows(2);
    let lies = [
        // A row that the checksum does not count any more, one that it never counted, and one that does not show.
        "UPDATE ps_buckets SET op_checksum = op_checksum + 1",
        "DELETE FROM ps_oplog WHERE rowid = (SELECT min(rowid) FROM ps_oplog)",
        "UPDATE ps_data__products SET data = '{}' WHERE id = (SELECT max(id) FROM ps_data__products)",
        "UPDATE ps_buckets SET last_op = last_op + 100000, last_applied_op = last_applied_op + 100000",
        "DROP TABLE ps_oplog",
    ];
    let file = reuse.first_file();
    let honest = std::fs::read(&file).unwrap();
    for lie in lies {
        std::fs::write(&file, &honest).unwrap();
        Connection::open(&file).unwrap().execute_batch(lie).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        let made = reuse
            .made_from(|base| {
                base.renditions[0].bytes = bytes.len() as u64;
                base.renditions[0].sha256 = format!("{:x}", Sha256::digest(&bytes));
            })
            .await;
        assert_eq!(made.way(), Way::Full(FullReason::Mismatch), "{lie}");
        assert_eq!(made.attempt.get(), 1, "{lie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_costs_more_than_it_saves_is_left_alone() {
    for (base_cost, way) in [
        (0.0, Way::Base),
        (0.2, Way::Base),
        (5.0, Way::Full(FullReason::Changed)),
    ] {
        let service = PowerSync::builder().start().await.unwrap();
        service.add_generated_store(STORE, ROWS, 1);
        let change = |settings: &mut WorkerSettings| settings.worker.base_cost = base_cost;
        let mut pipeline = Pipeline::start_with(&service, change).await;
        let first = pipeline.seed(STORE).await.unwrap();
        change_rows(&service, ROWS as usize / 2);
        let made = pipeline
            .run(starting_from(&first, plain_job()))
            .await
            .unwrap();
        assert_eq!(made.way(), way, "{base_cost}");
        same_rows(&service, STORE, &pipeline.file(&made));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_clocks_do_no_harm() {
    let mut reuse = Reuse::start().await;
    for days in [-4_000, 4_000] {
        let mut base = reuse.first.clone();
        base.created_at = Utc::now() + TimeDelta::days(days);
        assert!(matches!(reuse.job_from(&base).await, End::Unchanged(_)));
    }
    reuse.change_rows(1);
    let made = reuse
        .made_from(|base| base.created_at = Utc::now() + TimeDelta::days(4_000))
        .await;
    assert_eq!(made.way(), Way::Base);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_renewed_before_they_expire() {
    let stream = StreamDefinition::new("store_products", "products")
        .parameter("store_id", Source::subscription("store"))
        .on_demand();
    let service = PowerSync::builder().config(SyncConfig::streams([stream]));
    let service = service.start().await.unwrap();
    service.add_generated_store(STORE, ROWS, 1);
    let mut pipeline = Pipeline::start(&service).await;
    let Value::Object(parameters) = json!({ "store": STORE }) else {
        unreachable!("it is an object")
    };
    let subscription = StreamSubscription {
        stream: "store_products".to_owned(),
        parameters: Some(seedbed_protocol::JsonObject(parameters)),
        priority: None,
    };
    let with_stream = || {
        job(
            STORE,
            json!({ "store_id": STORE }),
            vec![subscription.clone()],
        )
    };
    let first = pipeline.run(with_stream()).await.unwrap();

    let same = pipeline.end(starting_from(&first, with_stream())).await;
    assert!(matches!(same.unwrap(), End::Unchanged(_)));

    for id in 1..=3 {
        let id = format!("00000000-0000-4000-8000-00000000000{id}");
        service.put(
            "products",
            json!({ "id": id, "store_id": STORE, "name": "new" }),
        );
    }
    let made = pipeline
        .run(starting_from(&first, with_stream()))
        .await
        .unwrap();
    assert_eq!(made.way(), Way::Base);
    let scratch = pipeline.run(with_stream()).await.unwrap();
    assert_eq!(
        Content::of(&pipeline.file(&made)),
        Content::of(&pipeline.file(&scratch))
    );

    let mut old = made.clone();
    // The subscriptions of the tests last 90 days.
    old.created_at = Utc::now() - TimeDelta::days(46);
    let renewed = pipeline
        .run(starting_from(&old, with_stream()))
        .await
        .unwrap();
    assert_eq!(renewed.way(), Way::Full(FullReason::Subscriptions));

    let without = job(STORE, json!({ "store_id": STORE }), Vec::new());
    let error = pipeline
        .run(starting_from(&made, without))
        .await
        .unwrap_err();
    assert!(error.message.contains("no bucket"), "{error:?}");
}

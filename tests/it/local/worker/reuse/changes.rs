//! Jobs that start from the store's last snapshot: what they download, and that what comes of them is what a full download
//! makes.

use std::path::{Path, PathBuf};

use chrono::{TimeDelta, Utc};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use seedbed_protocol::{
    message::{
        BaseSnapshot, Encoding, EventKind, FullReason, Manifest, SeedJob, Start,
        StreamSubscription, Way,
    },
    snapshots::{SnapshotPart, latest_key},
};
use seedbed_worker::config::WorkerSettings;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{
    pipeline::{End, Pipeline, job, same_rows, starting_from},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
};

const STORE: &str = "7";
const ROWS: u32 = 400;

/// A service, a worker, and the first snapshot of the store.
struct Reuse {
    service: PowerSync,
    pipeline: Pipeline,
    first: Manifest,
}

impl Reuse {
    async fn start() -> Self {
        let service = PowerSync::builder().start().await.unwrap();
        service.add_generated_store(STORE, ROWS, 1);
        let mut pipeline = Pipeline::start(&service).await;
        let first = pipeline.seed(STORE).await.unwrap();
        assert_eq!(first.way(), Way::Full(FullReason::First));
        Self {
            service,
            pipeline,
            first,
        }
    }

    /// A job that starts from `base`.
    async fn job_from(&mut self, base: &Manifest) -> End {
        self.pipeline
            .end(starting_from(base, plain_job()))
            .await
            .unwrap()
    }

    /// The snapshot of a job that starts from the first one.
    async fn made(&mut self) -> Manifest {
        let first = self.first.clone();
        match self.job_from(&first).await {
            End::Made(manifest) => *manifest,
            End::Unchanged(event) => panic!("{event:?}"),
        }
    }

    /// The snapshot of a job whose base was changed before it started.
    async fn made_from(&mut self, change: impl FnOnce(&mut BaseSnapshot)) -> Manifest {
        let mut job = starting_from(&self.first, plain_job());
        if let Start::Base(base) = &mut job.start {
            change(base);
        }
        let made = self.pipeline.run(job).await.unwrap();
        same_rows(&self.service, STORE, &self.pipeline.file(&made));
        made
    }

    /// What a full download makes of the store now.
    async fn scratch(&mut self) -> Content {
        let made = self.pipeline.seed(STORE).await.unwrap();
        Content::of(&self.pipeline.file(&made))
    }

    fn change_rows(&self, rows: usize) {
        change_rows(&self.service, rows);
    }

    fn first_file(&self) -> PathBuf {
        self.pipeline.file(&self.first)
    }
}

fn plain_job() -> SeedJob {
    job(STORE, json!({ "store_id": STORE }), Vec::new())
}

/// Changes some of the store's products and removes one.
fn change_rows(service: &PowerSync, rows: usize) {
    let products: Vec<_> = service.rows(STORE).take(rows + 1).collect();
    for product in &products[1..] {
        let mut row: Value = serde_json::from_str(&product.json).unwrap();
        row["id"] = product.id.clone().into();
        row["name"] = "renamed".into();
        service.put("products", row);
    }
    assert!(service.remove("products", &products[0].id));
}

/// What two snapshots of the same rows share, however they came to be.
#[derive(Debug, PartialEq)]
struct Content {
    products: Vec<String>,
    oplog: Vec<String>,
    buckets: Vec<String>,
    streams: Vec<String>,
}

impl Content {
    fn of(file: &Path) -> Self {
        let connection = Connection::open(file).unwrap();
        let lines = |query: &str| -> Vec<String> {
            let mut rows = connection.prepare(query).unwrap();
            let rows = rows.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        Self {
            products: lines("SELECT json_array(id, data) FROM ps_data__products ORDER BY id"),
            oplog: lines(
                "SELECT json_array(b.name, op_id, row_type, row_id, key, data, hash) FROM ps_oplog o \
                 JOIN ps_buckets b ON b.id = o.bucket ORDER BY b.name, op_id",
            ),
            buckets: lines(
                "SELECT json_array(name, last_op, last_applied_op, (add_checksum + op_checksum) & 0xffffffff) \
                 FROM ps_buckets WHERE last_op > 0 ORDER BY name",
            ),
            streams: lines(
                "SELECT json_array(stream_name, active, is_default, local_priority, local_params) \
                 FROM ps_stream_subscriptions ORDER BY 1",
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_store_costs_one_short_request() {
    let mut reuse = Reuse::start().await;
    let first = reuse.first.clone();
    let before = reuse.service.metrics().store(STORE);
    let End::Unchanged(event) = reuse.job_from(&first).await else {
        panic!("nothing has changed")
    };
    let after = reuse.service.metrics().store(STORE);
    assert_eq!(after.streams, before.streams + 1);
    assert_eq!(after.operations, before.operations);
    assert!(after.bytes - before.bytes < 1_000, "{after:?}");
    let EventKind::Unchanged {
        base_job_id,
        base_attempt,
        checkpoint,
    } = &event.kind
    else {
        panic!("{event:?}")
    };
    assert_eq!((*base_job_id, *base_attempt), (first.job_id, first.attempt));
    assert_eq!(*checkpoint, first.checkpoint);
    let asked = reuse.service.requests().pop().unwrap().body;
    let bucket = &first.checkpoint.buckets[0];
    assert_eq!(
        asked["buckets"],
        json!([{ "name": bucket.bucket, "after": bucket.last_op.to_string() }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_store_costs_its_change_and_becomes_what_a_full_download_makes() {
    let mut reuse = Reuse::start().await;
    reuse.change_rows(5);
    let made = reuse.made().await;
    assert_eq!(made.way(), Way::Base);
    assert_eq!(made.download.operations, 6);
    assert_eq!(made.full_at(), reuse.first.created_at);
    let steps: Vec<_> = made.steps.iter().map(|step| step.step.as_str()).collect();
    let expected = [
        "compare", "fetch", "sync", "scrub", "vacuum", "verify", "upload",
    ];
    assert_eq!(steps, expected);
    same_rows(&reuse.service, STORE, &reuse.pipeline.file(&made));
    let found = Content::of(&reuse.pipeline.file(&made));
    assert_eq!(found, reuse.scratch().await);

    // The next one goes on from there.
    reuse.change_rows(3);
    let End::Made(next) = reuse.job_from(&made).await else {
        panic!("rows have changed")
    };
    assert_eq!(next.way(), Way::Base);
    assert_eq!(next.full_at(), reuse.first.created_at);
    let found = Content::of(&reuse.pipeline.file(&next));
    assert_eq!(found, reuse.scratch().await);
    assert!(matches!(reuse.job_from(&next).await, End::Unchanged(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_the_next_snapshot_holds_what_was_removed() {
    let mut reuse = Reuse::start().await;
    let secret = "a-name-that-nobody-shall-read-any-more";
    let mut row: Value =
        serde_json::from_str(&reuse.service.rows(STORE).next().unwrap().json).unwrap();
    row["id"] = "00000000-0000-4000-8000-00000000feed".into();
    row["name"] = secret.into();
    reuse.service.put("products", &row);
    let with_secret = reuse.made().await;
    assert_eq!(with_secret.way(), Way::Base);
    let holds_it = |file: PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
    };
    assert!(holds_it(reuse.pipeline.file(&with_secret)));
    assert!(
        reuse
            .service
            .remove("products", row["id"].as_str().unwrap())
    );
    let End::Made(without) = reuse.job_from(&with_secret).await else {
        panic!("a row has changed")
    };
    assert_eq!(without.way(), Way::Base);
    assert!(!holds_it(reuse.pipeline.file(&without)));
}

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
    let mut reuse = Reuse::start().await;
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
async fn compaction_changes_nothing_and_a_new_deployment_everything() {
    let mut reuse = Reuse::start().await;
    reuse.change_rows(20);
    let base = reuse.made().await;
    reuse.service.compact();
    assert!(matches!(reuse.job_from(&base).await, End::Unchanged(_)));

    reuse.change_rows(2);
    let End::Made(made) = reuse.job_from(&base).await else {
        panic!("rows have changed")
    };
    assert_eq!(made.way(), Way::Base);
    let found = Content::of(&reuse.pipeline.file(&made));
    let scratch = reuse.scratch().await;
    assert_eq!(found.products, scratch.products);
    assert_eq!(found.oplog, scratch.oplog);
    assert_eq!(found.buckets, scratch.buckets);

    // The same rows in buckets of other names.
    reuse.service.redeploy();
    let End::Made(renamed) = reuse.job_from(&made).await else {
        panic!("buckets have changed")
    };
    assert_eq!(renamed.way(), Way::Full(FullReason::Changed));
    assert_eq!(
        Content::of(&reuse.pipeline.file(&renamed)),
        reuse.scratch().await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_that_are_made_anew_are_downloaded_anew() {
    let mut reuse = Reuse::start().await;
    // As a service defragments: every row is written once more.
    let rows: Vec<_> = reuse.service.rows(STORE).collect();
    for row in rows {
        let mut json: Value = serde_json::from_str(&row.json).unwrap();
        json["id"] = row.id.into();
        reuse.service.put("products", json);
    }
    reuse.service.compact();
    let made = reuse.made().await;
    same_rows(&reuse.service, STORE, &reuse.pipeline.file(&made));
    assert_eq!(
        Content::of(&reuse.pipeline.file(&made)).products,
        reuse.scratch().await.products
    );
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

#[tokio::test(flavor = "multi_thread")]
async fn compressed_snapshots_are_started_from_as_well() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store(STORE, ROWS, 1);
    for encodings in [
        vec![Encoding::Zstd],
        vec![Encoding::Gzip, Encoding::Identity],
    ] {
        let change = |settings: &mut WorkerSettings| {
            settings.snapshots.renditions = encodings;
        };
        let mut pipeline = Pipeline::start_with(&service, change).await;
        let first = pipeline.seed(STORE).await.unwrap();
        let same = pipeline.end(starting_from(&first, plain_job())).await;
        assert!(matches!(same.unwrap(), End::Unchanged(_)));
        change_rows(&service, 2);
        let made = pipeline
            .run(starting_from(&first, plain_job()))
            .await
            .unwrap();
        assert_eq!(made.way(), Way::Base);
        assert_eq!(made.rows(), first.rows() - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_changes_end_in_the_same_snapshot_on_both_ways() {
    let mut random = StdRng::seed_from_u64(20_261_123);
    let mut reuse = Reuse::start().await;
    let mut base = reuse.first.clone();
    let mut from_base = 0;
    for round in 0..25 {
        for _ in 0..random.random_range(0..4) {
            match random.random_range(0..4) {
                0 => reuse.service.compact(),
                _ => reuse.change_rows(random.random_range(0..30)),
            }
        }
        match reuse.job_from(&base).await {
            End::Unchanged(_) => {}
            End::Made(made) => {
                from_base += u32::from(made.way() == Way::Base);
                let found = Content::of(&reuse.pipeline.file(&made));
                assert_eq!(found, reuse.scratch().await, "round {round}");
                base = *made;
            }
        }
    }
    assert!(
        from_base >= 10,
        "{from_base} snapshots continue another one"
    );
}

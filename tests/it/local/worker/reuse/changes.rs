//! What a job with a base downloads, and that its result is what a full download makes.

use std::path::PathBuf;

use rand::{Rng, SeedableRng, rngs::StdRng};
use seedbed_protocol::manifest::{Encoding, FullReason, RenditionKind, Way};
use seedbed_protocol::message::EventKind;
use seedbed_worker::settings::WorkerSettings;
use serde_json::{Value, json};
use testkit::{
    pipeline::{End, Pipeline, same_rows, starting_from},
    powersync::PowerSync,
};

use super::support::{Content, ROWS, Reuse, STORE, change_rows, plain_job};

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
    let steps: Vec<_> = event.steps.iter().map(|step| &*step.step).collect();
    assert_eq!(steps, ["compare"]);
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
        "compare", "fetch", "sync", "scrub", "vacuum", "verify", "compact", "stream", "forms",
        "upload",
    ];
    assert_eq!(steps, expected);
    same_rows(&reuse.service, STORE, &reuse.pipeline.file(&made));
    let found = Content::of(&reuse.pipeline.file(&made));
    assert_eq!(found, reuse.scratch().await);

    // The next job starts from the result.
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
async fn buckets_that_are_recreated_are_downloaded_again() {
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
async fn compressed_snapshots_are_started_from_as_well() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store(STORE, ROWS, 1);
    for encodings in [
        vec![Encoding::Zstd],
        vec![Encoding::Gzip, Encoding::Identity],
    ] {
        let change = |settings: &mut WorkerSettings| {
            let kinds = encodings.into_iter().map(RenditionKind::file);
            settings.snapshots.renditions = kinds.collect();
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

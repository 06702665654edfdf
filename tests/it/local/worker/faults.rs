//! Every fault of the service ends in a correct snapshot or in a failure that says what is wrong.

use std::time::Duration;

use futures::StreamExt;
use seedbed_protocol::{
    broker::{Broker, Queue},
    manifest::Manifest,
    message::{Failure, FailureKind},
};
use seedbed_worker::settings::{StreamCompression, StreamFormat};
use serde_json::json;
use testkit::{
    pipeline::{Pipeline, job, same_rows},
    powersync::{Fault, PowerSync},
};

const ROWS: u32 = 3_000;

/// A service with one generated store, `7`.
async fn service() -> PowerSync {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    service
}

/// Nothing is left where jobs work.
fn assert_clean(pipeline: &Pipeline) {
    let work = pipeline.directory.path().join("work");
    for process in std::fs::read_dir(work).unwrap() {
        let left: Vec<_> = std::fs::read_dir(process.unwrap().path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["lock"]);
    }
}

async fn seeds_in_spite_of(
    faults: &[Fault],
    compression: StreamCompression,
) -> (PowerSync, Manifest) {
    let service = service().await;
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.powersync.compression = compression;
        settings.powersync.idle_timeout = Duration::from_millis(300);
    })
    .await;
    for fault in faults {
        service.faults().push(fault.clone());
    }
    let manifest = pipeline
        .seed("7")
        .await
        .unwrap_or_else(|failure| panic!("{faults:?}: {}", failure.message));
    assert_eq!(service.faults().waiting(), 0, "{faults:?} happened");
    same_rows(&service, "7", &pipeline.file(&manifest));
    assert_clean(&pipeline);
    (service, manifest)
}

async fn fails_because_of(fault: Fault) -> Failure {
    let service = service().await;
    let mut pipeline = Pipeline::start(&service).await;
    service.faults().always_for("7", fault);
    let failure = pipeline.seed("7").await.expect_err("the fault stays");
    assert_clean(&pipeline);
    let objects: Vec<_> = pipeline.snapshots.list().collect().await;
    assert!(objects.is_empty(), "{objects:?}");
    // The job is parked after the failure was reported.
    let parked = async {
        while pipeline.broker.waiting(Queue::ParkedJobs).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), parked)
        .await
        .expect("a failed job is parked");
    failure
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_and_all_compressions_give_the_same_rows() {
    let service = service().await;
    for format in [StreamFormat::Auto, StreamFormat::Ndjson] {
        for compression in [
            StreamCompression::None,
            StreamCompression::Gzip,
            StreamCompression::Zstd,
        ] {
            let mut pipeline = Pipeline::start_with(&service, |settings| {
                settings.powersync.format = format;
                settings.powersync.compression = compression;
            })
            .await;
            let manifest = pipeline.seed("7").await.unwrap();
            assert_eq!(
                (manifest.rows(), manifest.download.connections),
                (u64::from(ROWS), 1)
            );
            same_rows(&service, "7", &pipeline.file(&manifest));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_resumed_without_downloading_again() {
    for compression in [
        StreamCompression::None,
        StreamCompression::Zstd,
        StreamCompression::Gzip,
    ] {
        // In compressed form the whole store is a few hundred KiB.
        let cut = Fault::CutAfter {
            bytes: if compression == StreamCompression::None {
                1_000_000
            } else {
                150_000
            },
        };
        let (_, manifest) = seeds_in_spite_of(&[cut], compression).await;
        assert_eq!(manifest.download.connections, 2);
        assert_eq!(
            manifest.download.operations,
            u64::from(ROWS),
            "what had come was kept"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_document_and_then_an_orderly_end_is_a_dropped_stream() {
    let (_, manifest) = seeds_in_spite_of(
        &[Fault::EndAfter { bytes: 700_000 }],
        StreamCompression::None,
    )
    .await;
    assert_eq!(manifest.download.connections, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_goes_silent_is_a_dropped_stream() {
    let stall = Fault::StallAfter { bytes: 700_000 };
    let (_, manifest) = seeds_in_spite_of(&[stall], StreamCompression::None).await;
    assert_eq!(manifest.download.connections, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_at_any_byte_is_survived() {
    let service = service().await;
    let mut pipeline = Pipeline::start(&service).await;
    for bytes in [
        0, 1, 3, 4, 5, 17, 300, 345, 346, 347, 350, 5_000, 560_000, 1_100_000, 1_650_000,
    ] {
        service.faults().push(Fault::CutAfter { bytes });
        let manifest = pipeline
            .seed("7")
            .await
            .unwrap_or_else(|failure| panic!("{bytes}: {}", failure.message));
        same_rows(&service, "7", &pipeline.file(&manifest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_checksums_are_downloaded_again_and_named_when_they_stay() {
    let (_, manifest) = seeds_in_spite_of(&[Fault::WrongChecksum], StreamCompression::None).await;
    assert_eq!(manifest.download.connections, 2);

    let failure = fails_because_of(Fault::WrongChecksum).await;
    assert_eq!(failure.kind, FailureKind::Transient, "{}", failure.message);
    assert!(
        failure.message.contains("checksums") && failure.message.contains("store_products"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_service_is_asked_again() {
    let unavailable = Fault::Status {
        status: 503,
        retry_after: Some("1".to_owned()),
    };
    let started = std::time::Instant::now();
    seeds_in_spite_of(&[unavailable], StreamCompression::None).await;
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "Retry-After is honoured"
    );

    for code in ["PSYNC_S2302", "PSYNC_S2304"] {
        seeds_in_spite_of(
            &[Fault::Error { status: 500, code }],
            StreamCompression::None,
        )
        .await;
    }
    let failure = fails_because_of(Fault::Status {
        status: 503,
        retry_after: None,
    })
    .await;
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(failure.message.contains("503"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_retry_after_sends_the_job_back_to_the_queue() {
    let service = service().await;
    let mut pipeline = Pipeline::start(&service).await;
    service.faults().push(Fault::Status {
        status: 429,
        retry_after: Some("30".to_owned()),
    });
    pipeline
        .publish(&job("7", json!({ "store_id": "7" }), Vec::new()))
        .await;
    let retry_at = loop {
        if let seedbed_protocol::message::EventKind::Failed(failure) =
            pipeline.next_event().await.kind
        {
            break failure.retry_at.expect("it is tried again");
        }
    };
    assert!(retry_at > chrono::Utc::now() + Duration::from_secs(25));
    assert_clean(&pipeline);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_retry_can_help_fails_at_once() {
    let too_many = fails_because_of(Fault::Error {
        status: 500,
        code: "PSYNC_S2305",
    })
    .await;
    assert_eq!(
        too_many.kind,
        FailureKind::Permanent,
        "{}",
        too_many.message
    );
    assert!(too_many.message.contains("PSYNC_S2305"));

    let page = fails_because_of(Fault::HtmlPage).await;
    assert_eq!(page.kind, FailureKind::Permanent);
    assert!(
        page.message.contains("powersync.endpoint"),
        "{}",
        page.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_claims_do_not_select_is_a_failure_and_an_empty_store_is_a_snapshot() {
    let service = service().await;
    service.add_store("empty");
    let mut pipeline = Pipeline::start(&service).await;
    let failure = pipeline.seed("nobody").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.step.as_str()),
        (FailureKind::Permanent, "sync")
    );
    assert!(
        failure.message.contains("select no bucket"),
        "{}",
        failure.message
    );

    let manifest = pipeline.seed("empty").await.unwrap();
    assert_eq!((manifest.rows(), manifest.checkpoint.buckets.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_token_is_a_permanent_failure_that_names_the_setting_and_not_the_secret() {
    let service = service().await;
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.token.secret = Some(seedbed_protocol::settings::Secret::new(
            "YW5vdGhlciBzZWNyZXQ",
        ));
    })
    .await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(
        failure.message.contains("PSYNC_S2101") && failure.message.contains("token.secret"),
        "{}",
        failure.message
    );
    assert!(!failure.message.contains("YW5vdGhlciBzZWNyZXQ"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_in_the_middle_is_renewed() {
    let service = PowerSync::builder()
        .keepalive(Duration::from_millis(200))
        .start()
        .await
        .unwrap();
    service.add_generated_store("7", ROWS, 1);
    // The stream stands still until its token has expired, and the service ends it.
    service.faults().push(Fault::StallAfter { bytes: 700_000 });
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.token.lifetime = Duration::from_secs(1);
        settings.powersync.idle_timeout = Duration::from_secs(2);
        // A token of whole seconds lasts up to two: the attempt has to outlast it.
        settings.powersync.give_up_after = Duration::from_secs(20);
    })
    .await;
    let manifest = pipeline.seed("7").await.unwrap();
    let served = service.metrics().total.streams;
    assert_eq!(
        manifest.download.connections, 2,
        "{manifest:?}, {served} streams"
    );
    assert_eq!(manifest.download.operations, u64::from(ROWS));
    same_rows(&service, "7", &pipeline.file(&manifest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_service_is_named() {
    let service = service().await;
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        // Port 9 of loopback: nobody listens there.
        settings.powersync.endpoint = "http://127.0.0.1:9".to_owned();
        settings.powersync.give_up_after = Duration::from_millis(400);
    })
    .await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(
        failure.message.contains("127.0.0.1:9") && failure.message.contains("refused"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_during_the_sync_are_in_the_snapshot_as_one_checkpoint_has_them() {
    let service = service().await;
    let mut pipeline = Pipeline::start(&service).await;
    for round in 0..20 {
        let changing = async {
            for n in 0..50 {
                let row =
                    json!({ "id": format!("live-{round}-{n}"), "store_id": "7", "name": "new" });
                service.put("products", row);
                tokio::task::yield_now().await;
            }
        };
        let (manifest, ()) = tokio::join!(pipeline.seed("7"), changing);
        let manifest =
            manifest.unwrap_or_else(|failure| panic!("round {round}: {}", failure.message));
        let connection = rusqlite::Connection::open(pipeline.file(&manifest)).unwrap();
        let live: i64 = connection
            .query_row(
                "SELECT count(*) FROM ps_data__products WHERE id LIKE 'live-%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(manifest.rows(), u64::from(ROWS) + live.cast_unsigned());
    }
}

//! A service that is away, and comes back: what has arrived is kept.

use std::time::Duration;

use seedbed_protocol::message::EventKind;
use serde_json::json;
use testkit::{
    pipeline::{Pipeline, job, same_rows},
    powersync::{Fault, PowerSync},
};

const ROWS: u32 = 3_000;

/// Seeds a store whose first stream breaks in the middle, and the next ones get these faults; shows that each row came
/// once.
async fn keeps_what_came(faults: &[Fault]) {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.worker.max_attempts = 1;
        settings.powersync.give_up_after = Duration::from_secs(60);
    })
    .await;
    service.faults().push(Fault::CutAfter { bytes: 1_000_000 });
    for fault in faults {
        service.faults().push(fault.clone());
    }
    let manifest = pipeline.seed("7").await.unwrap();
    assert_eq!(service.faults().waiting(), 0);
    let download = manifest.download;
    assert_eq!(download.operations, u64::from(ROWS), "each came once");
    assert_eq!(download.connections as usize, faults.len() + 2);
    same_rows(&service, "7", &pipeline.file(&manifest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_for_many_tries_costs_no_row() {
    let unavailable = Fault::Status {
        status: 503,
        retry_after: None,
    };
    let mut faults = vec![unavailable; 3];
    faults.push(Fault::CutAfter { bytes: 0 });
    faults.push(Fault::EndAfter { bytes: 0 });
    faults.push(Fault::Error {
        status: 500,
        code: "PSYNC_S2302",
    });
    keeps_what_came(&faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_place_costs_no_row_either() {
    let full = Fault::Status {
        status: 429,
        retry_after: Some("1".to_owned()),
    };
    keeps_what_came(&[full]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_for_one_store_only_does_not_hold_a_slot() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("good", 10, 1);
    service.add_generated_store("bad", 10, 1);
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.worker.max_attempts = 1;
        settings.powersync.give_up_after = Duration::from_secs(3_600);
    })
    .await;
    let unavailable = Fault::Status {
        status: 503,
        retry_after: None,
    };
    service.faults().always_for("bad", unavailable);
    let job_of = |store: &str| job(store, json!({ "store_id": store }), Vec::new());
    pipeline.publish(&job_of("bad")).await;
    pipeline.publish(&job_of("good")).await;
    let failure = loop {
        match pipeline.next_event().await.kind {
            EventKind::Completed { .. } => pipeline.publish(&job_of("good")).await,
            EventKind::Failed(failure) => break failure,
            _ => {}
        }
    };
    assert!(failure.message.contains("503"), "{failure:?}");
    assert_eq!(service.metrics().store("bad").requests, 6);
}

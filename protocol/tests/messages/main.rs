//! Message bodies: the golden files hold what each version wrote, and must be readable for ever.
//!
//! A new version adds files. `SEEDBED_WRITE_GOLDEN=1 cargo test -p seedbed-protocol` writes those that are
//! missing and never replaces one.

mod fixtures;
mod forms;

use fixtures::*;
use seedbed_protocol::{
    Attempt, OpId,
    manifest::*,
    message::codec::{self, Body, CodecError, MAX_BODY_BYTES, MAX_WRITTEN_BYTES},
    message::*,
};
use serde_json::json;

#[track_caller]
fn stays_readable<T: Body + PartialEq + std::fmt::Debug>(name: &str, message: &T) {
    let body = codec::encode(message).unwrap();
    let golden = golden(name, &body);
    assert_eq!(&codec::decode::<T>(&golden).unwrap(), message, "{name}");
    assert!(
        body == golden,
        "{name}: the layout of version 2 has changed; that takes a new version"
    );
}

#[test]
fn version_2_of_every_message_stays_readable_and_is_still_written() {
    stays_readable("v2-job", &job());
    stays_readable("v2-job-full", &full_job(FullReason::Mismatch));
    for (name, event) in events() {
        stays_readable(&format!("v2-event-{name}"), &event);
    }
    stays_readable("v2-heartbeat", &heartbeat());
}

#[test]
fn what_is_too_large_for_a_message_leaves_its_buckets_to_the_manifest() {
    let bucket = |n: u32| BucketCheckpoint {
        bucket: format!("1#orders[\"{n}\"]"),
        last_op: OpId(n.into()),
        checksum: n,
        priority: 3,
        operations: 1,
    };
    let checkpoint = Checkpoint {
        last_op_id: OpId(90_000),
        buckets: (0..90_000).map(bucket).collect(),
    };
    let without = Checkpoint {
        buckets: Vec::new(),
        ..checkpoint.clone()
    };
    let with = |checkpoint: &Checkpoint| Manifest {
        checkpoint: checkpoint.clone(),
        ..manifest()
    };
    let completed = |checkpoint| {
        event(EventKind::Completed {
            manifest: Box::new(with(checkpoint)),
        })
    };
    let unchanged = |checkpoint: &Checkpoint| {
        event(EventKind::Unchanged {
            base_job_id: job_id(),
            base_attempt: Attempt::FIRST,
            checkpoint: checkpoint.clone(),
        })
    };
    let job = |checkpoint| SeedJob {
        start: Start::Base(Box::new(with(checkpoint).into())),
        ..job()
    };
    for whole in [completed(&checkpoint), unchanged(&checkpoint)] {
        let body = codec::encode(&whole).unwrap();
        assert!(body.len() < 1_000, "{} bytes", body.len());
    }
    let body = codec::encode(&completed(&checkpoint)).unwrap();
    assert_eq!(codec::decode(&body), Ok(completed(&without)));
    let body = codec::encode(&unchanged(&checkpoint)).unwrap();
    assert_eq!(codec::decode(&body), Ok(unchanged(&without)));
    let body = codec::encode(&job(&checkpoint)).unwrap();
    assert_eq!(codec::decode(&body), Ok(job(&without)));
}

#[test]
fn what_is_too_large_even_without_buckets_is_refused() {
    let mut large = job();
    large.scope.claims = object(json!({ "store_id": "x".repeat(MAX_WRITTEN_BYTES) }));
    assert!(matches!(
        codec::encode(&large),
        Err(CodecError::TooLarge {
            name: "seed job",
            ..
        })
    ));
}

#[test]
fn version_1_of_every_message_stays_readable() {
    let of_version_1 = |name: &str| golden(&format!("v1-{name}"), &[]);
    let read = codec::decode::<SeedJob>(&of_version_1("job")).unwrap();
    assert_eq!(read, full_job(FullReason::Off));
    for (name, mut event) in events() {
        match &mut event.kind {
            EventKind::Completed { manifest } => {
                manifest.selection_fingerprint = String::new();
                manifest.origin = Origin::default();
                without_operations(&mut manifest.checkpoint);
            }
            EventKind::Unchanged {
                base_attempt,
                checkpoint,
                ..
            } => {
                *base_attempt = Attempt::FIRST;
                without_operations(checkpoint);
            }
            EventKind::Started { .. } | EventKind::Failed(_) => {}
        }
        let read = codec::decode::<SeedEvent>(&of_version_1(&format!("event-{name}"))).unwrap();
        assert_eq!(read, event, "{name}");
    }
}

/// As version 1 knew a checkpoint.
fn without_operations(checkpoint: &mut Checkpoint) {
    for bucket in &mut checkpoint.buckets {
        bucket.operations = 0;
    }
}

#[test]
fn reasons_have_the_same_name_everywhere() {
    for reason in [
        FullReason::Off,
        FullReason::CoreVersion,
        FullReason::BaseFile,
    ] {
        assert_eq!(json!(reason), json!(reason.name()));
    }
}

#[test]
fn a_manifest_of_an_older_version_was_made_in_full() {
    let mut old = json!(manifest());
    for newer in ["selection_fingerprint", "origin"] {
        old.as_object_mut().unwrap().remove(newer).unwrap();
    }
    let old: Manifest = serde_json::from_value(old).unwrap();
    assert_eq!(old.way(), Way::Full(FullReason::Off));
    assert_eq!(old.full_at(), old.created_at);
}

#[test]
fn foreign_bytes_are_told_from_damaged_ones() {
    let body = codec::encode(&job()).unwrap();
    let error = |bytes: &[u8]| codec::decode::<SeedJob>(bytes).unwrap_err();
    assert!(matches!(error(b""), CodecError::Foreign { .. }));
    assert!(matches!(
        error(b"{\"run_id\":1}"),
        CodecError::Foreign { .. }
    ));
    assert!(matches!(
        error(&codec::encode(&events()[0].1).unwrap()),
        CodecError::Foreign { .. }
    ));
    assert!(matches!(error(&body[..1]), CodecError::Damaged { .. }));
    assert!(matches!(
        error(&[&body[..], b"x"].concat()),
        CodecError::Damaged { .. }
    ));
    assert!(matches!(
        error(&vec![body[0]; MAX_BODY_BYTES + 1]),
        CodecError::TooLarge { .. }
    ));
}

#[test]
fn a_message_from_the_future_asks_for_an_update() {
    let mut body = codec::encode(&job()).unwrap();
    body[1] = 3;
    let error = codec::decode::<SeedJob>(&body).unwrap_err();
    let (name, found) = ("seed job", 3);
    assert_eq!(error, CodecError::Future { name, found });
    assert!(error.to_string().contains("update"));
}

#[test]
fn every_truncation_and_every_flipped_byte_is_survived() {
    let body = codec::encode(&job()).unwrap();
    for length in 0..body.len() {
        assert!(
            codec::decode::<SeedJob>(&body[..length]).is_err(),
            "cut after {length} bytes"
        );
    }
    for position in 0..body.len() {
        let mut flipped = body.clone();
        flipped[position] ^= 0xFF;
        // Some flips give another valid job; none may panic or take memory without bound.
        let _ = codec::decode::<SeedJob>(&flipped);
    }
}

#[test]
fn a_manifest_is_the_same_after_a_trip_through_json() {
    let json = serde_json::to_string(&manifest()).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest());
    assert!(
        json.contains("\"encoding\":\"zstd\"")
            && json.contains("\"created_at\":\"2026-01-02T03:04:06Z\"")
    );
}

//! One message of each kind, and the golden files.

use std::{fs, path::PathBuf};

use chrono::{DateTime, Utc};
use seedbed_protocol::{Attempt, JobId, JsonObject, OpId, RunId, StoreId, manifest::*, message::*};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn object(value: Value) -> JsonObject {
    let Value::Object(object) = value else {
        panic!("an object")
    };
    JsonObject(object)
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn run_id() -> RunId {
    RunId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

pub(crate) fn job_id() -> JobId {
    JobId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002))
}

pub(crate) fn checkpoint() -> Checkpoint {
    let bucket = |bucket: &str, last_op, checksum, priority| BucketCheckpoint {
        bucket: bucket.to_owned(),
        last_op: OpId(last_op),
        checksum,
        priority,
        operations: 1_494,
    };
    let buckets = vec![
        bucket("1#store_products[\"7\"]", 628_367, 4_107_978_330, 3),
        bucket("2#categories|0[]", 0, 0, 1),
    ];
    Checkpoint {
        last_op_id: OpId(628_367),
        buckets,
    }
}

pub(crate) fn rendition() -> Rendition {
    Rendition {
        form: Form::File,
        encoding: Encoding::Zstd,
        key: "7/01900000-0000-7000-8000-000000000002-1.sqlite.zst".to_owned(),
        bytes: 123_456,
        sha256: "ab".repeat(32),
        unpacked: None,
        finish: None,
        selection: None,
    }
}

pub(crate) fn job() -> SeedJob {
    SeedJob {
        run_id: run_id(),
        job_id: job_id(),
        scope: Scope {
            store_id: StoreId::new("größe 7").unwrap(),
            claims: object(
                json!({ "store_id": 7, "vip": true, "share": 0.5, "tags": ["a", null], "big": u64::MAX }),
            ),
        },
        parameters: object(json!({ "locale": "de" })),
        default_streams: true,
        subscriptions: vec![
            StreamSubscription {
                stream: "orders".to_owned(),
                parameters: Some(object(json!({ "status": "open" }))),
                priority: Some(1),
            },
            StreamSubscription {
                stream: "categories".to_owned(),
                parameters: None,
                priority: None,
            },
        ],
        attempt: Attempt::FIRST.next(),
        deadline: time("2026-01-02T03:04:05.678Z"),
        start: Start::Base(Box::new(manifest().into())),
    }
}

pub(crate) fn event(kind: EventKind) -> SeedEvent {
    SeedEvent {
        run_id: run_id(),
        job_id: job_id(),
        store_id: StoreId::new("7").unwrap(),
        attempt: Attempt::FIRST,
        at: time("2026-01-02T03:04:06Z"),
        worker: "worker-1".to_owned(),
        kind,
        steps: Vec::new(),
    }
}

pub(crate) fn manifest() -> Manifest {
    Manifest {
        run_id: run_id(),
        job_id: job_id(),
        store_id: StoreId::new("7").unwrap(),
        attempt: Attempt::FIRST,
        created_at: time("2026-01-02T03:04:06Z"),
        powersync_endpoint: "https://powersync.example.com".to_owned(),
        core_version: "0.4.14/0a1b2c3d".to_owned(),
        internal_schema_version: 12,
        schema_fingerprint: "cd".repeat(32),
        selection_fingerprint: "ef".repeat(32),
        origin: Origin::Base {
            job_id: job_id(),
            full_at: time("2026-01-01T03:04:05Z"),
            loose_operations: 12,
        },
        checkpoint: checkpoint(),
        tables: vec![TableRows {
            table: "products".to_owned(),
            rows: 1000,
        }],
        renditions: vec![rendition()],
        download: Download {
            bytes: 571_234,
            operations: 1000,
            connections: 1,
            waited_millis: 12,
        },
        steps: vec![StepTiming {
            step: "sync".to_owned(),
            millis: 46,
        }],
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        forms: Vec::new(),
        sealed: Vec::new(),
        sealed_key: None,
        notes: Notes::default(),
    }
}

pub(crate) fn events() -> Vec<(&'static str, SeedEvent)> {
    let failure = Failure {
        kind: FailureKind::Transient,
        step: "sync".to_owned(),
        message: "PowerSync answered 503".to_owned(),
        retry_at: Some(time("2026-01-02T03:05:00Z")),
    };
    vec![
        ("started", event(EventKind::Started { trace_id: None })),
        (
            "completed",
            event(EventKind::Completed {
                manifest: Box::new(manifest()),
            }),
        ),
        (
            "unchanged",
            event(EventKind::Unchanged {
                base_job_id: job_id(),
                base_attempt: Attempt::FIRST.next(),
                checkpoint: checkpoint(),
            }),
        ),
        ("failed", event(EventKind::Failed(failure))),
    ]
}

pub(crate) fn heartbeat() -> Heartbeat {
    Heartbeat {
        worker: "worker-1-42".to_owned(),
        host: "worker-1".to_owned(),
        version: "0.1.0".to_owned(),
        slots: 4,
        busy: 3,
        started_at: time("2026-01-02T03:04:05Z"),
        lifetime_millis: 35_000,
        waiting: 0,
    }
}

pub(crate) fn full_job(because: FullReason) -> SeedJob {
    SeedJob {
        start: Start::Full(because),
        ..job()
    }
}

pub(crate) fn golden(name: &str, current: &[u8]) -> Vec<u8> {
    let name = match name.contains('.') {
        true => name.to_owned(),
        false => format!("{name}.bin"),
    };
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}"));
    if std::env::var_os("SEEDBED_WRITE_GOLDEN").is_some() && !file.exists() {
        fs::write(&file, current).unwrap();
    }
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

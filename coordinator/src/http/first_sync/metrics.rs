//! How many first syncs were asked for, and what became of them; the names are in `deploy/TELEMETRY.md`.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, UpDownCounter},
};

use crate::metrics::meter;

pub(super) struct FirstSyncMetrics {
    streams: Counter<u64>,
    open: UpDownCounter<i64>,
    bytes: Counter<u64>,
    starts: Counter<u64>,
}

impl FirstSyncMetrics {
    pub(super) fn new() -> Self {
        let meter = meter();
        Self {
            streams: meter
                .u64_counter("seedbed.streams")
                .with_unit("{stream}")
                .with_description("First syncs that devices asked for, by what became of them")
                .build(),
            open: meter
                .i64_up_down_counter("seedbed.streams.open")
                .with_unit("{stream}")
                .with_description("First syncs that devices are reading now")
                .build(),
            bytes: meter
                .u64_counter("seedbed.streams.sent")
                .with_unit("By")
                .with_description("What was sent of first syncs, as it went over the wire")
                .build(),
            starts: meter
                .u64_counter("seedbed.starts")
                .with_unit("{request}")
                .with_description("Answers to GET /start, by the endpoint that they name and why")
                .build(),
        }
    }

    /// Counts a stream by its outcome: `served`, `cut` by the device or its silence, `failed` here, or why it was refused.
    pub(super) fn ended(&self, outcome: &'static str) {
        self.streams
            .add(1, &[KeyValue::new("seedbed.outcome", outcome)]);
    }

    pub(super) fn opened(&self, change: i64) {
        self.open.add(change, &[]);
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.bytes.add(bytes, &[]);
    }

    pub(super) fn started(&self, endpoint: &'static str, why: &'static str) {
        let attributes = [
            KeyValue::new("seedbed.endpoint", endpoint),
            KeyValue::new("seedbed.why", why),
        ];
        self.starts.add(1, &attributes);
    }
}

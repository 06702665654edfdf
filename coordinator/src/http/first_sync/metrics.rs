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
        let metrics = Self {
            streams: meter
                .u64_counter("seedbed.first_syncs")
                .with_unit("{stream}")
                .with_description("First syncs that devices asked for, by what became of them")
                .build(),
            open: meter
                .i64_up_down_counter("seedbed.first_syncs.open")
                .with_unit("{stream}")
                .with_description("First syncs that devices are reading now")
                .build(),
            bytes: meter
                .u64_counter("seedbed.first_syncs.sent")
                .with_unit("By")
                .with_description("What was sent of first syncs, as it went over the wire")
                .build(),
            starts: meter
                .u64_counter("seedbed.starts")
                .with_unit("{request}")
                .with_description("Answers to GET /start, by the endpoint that they name and why")
                .build(),
        };
        // Whoever draws them has to find them before.
        metrics.streams.add(0, &[]);
        metrics.starts.add(0, &[]);
        metrics.opened(0);
        metrics.sent(0);
        metrics
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

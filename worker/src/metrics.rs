//! The metrics of a worker, and the counters behind a progress bar. The names of the metrics are listed in
//! deploy/TELEMETRY.md.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};
use seedbed_protocol::{manifest::Manifest, telemetry::SCOPE};

/// Histogram boundaries of a job or one of its steps, in seconds: from a store without rows to many millions of rows.
const DURATION_BOUNDARIES: [f64; 15] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0, 3600.0,
];

/// How a delivery was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobOutcome {
    /// A new snapshot is in the repository.
    Seeded,
    /// The live snapshot is still right.
    Unchanged,
    /// The attempt failed, and the job is retried.
    Retried,
    /// The job failed and was parked.
    Failed,
    /// The worker was told to stop, and another one gets the job.
    HandedBack,
}

impl JobOutcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Seeded => "seeded",
            Self::Unchanged => "unchanged",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::HandedBack => "handed_back",
        }
    }
}

/// The instruments of a worker.
#[derive(Debug)]
pub(crate) struct Metrics {
    jobs: Counter<u64>,
    job_duration: Histogram<f64>,
    step_duration: Histogram<f64>,
    retries: Counter<u64>,
    rows: Counter<u64>,
    operations: Counter<u64>,
    downloaded: Counter<u64>,
    uploaded: Counter<u64>,
    noted: Counter<u64>,
    in_flight: UpDownCounter<i64>,
    slots: Gauge<u64>,
    streams_allowed: Gauge<u64>,
    streams_waiting: UpDownCounter<i64>,
    streams_refused: Counter<u64>,
    buckets_used: Counter<u64>,
    buckets_operations: Counter<u64>,
    buckets_saved: Counter<u64>,
    buckets_filled: Counter<u64>,
    buckets_dropped: Counter<u64>,
    templates_made: Counter<u64>,
    templates_used: Counter<u64>,
    templates_operations: Counter<u64>,
    templates_dropped: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter(SCOPE);
        let counter = |name, unit, description| {
            let builder = meter.u64_counter(name).with_unit(unit);
            builder.with_description(description).build()
        };
        let histogram = |name, description| {
            let builder = meter.f64_histogram(name).with_unit("s");
            let builder = builder.with_description(description);
            builder
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build()
        };
        Self {
            jobs: counter("seedbed.jobs", "{job}", "Jobs, by what came of them"),
            job_duration: histogram(
                "seedbed.job.duration",
                "From a job's delivery to its settlement",
            ),
            step_duration: histogram("seedbed.step.duration", "One step of a job"),
            retries: counter(
                "seedbed.retries",
                "{retry}",
                "Jobs that are tried again, by the step that failed",
            ),
            rows: counter("seedbed.rows", "{row}", "Rows of new snapshots"),
            operations: counter(
                "seedbed.operations",
                "{operation}",
                "Operations that were downloaded",
            ),
            downloaded: counter(
                "seedbed.downloaded",
                "By",
                "Bytes of sync streams, after decompression",
            ),
            uploaded: counter("seedbed.uploaded", "By", "Bytes of new snapshots' files"),
            noted: counter(
                "seedbed.snapshots.noted",
                "{snapshot}",
                "New snapshots that a person should look at",
            ),
            in_flight: meter
                .i64_up_down_counter("seedbed.jobs.in_flight")
                .with_unit("{job}")
                .with_description("Jobs that are worked on")
                .build(),
            slots: meter
                .u64_gauge("seedbed.slots")
                .with_unit("{slot}")
                .with_description("Jobs that may be worked on at a time")
                .build(),
            streams_allowed: meter
                .u64_gauge("seedbed.streams.allowed")
                .with_unit("{stream}")
                .with_description("Streams that may be open at a time, as the service can take")
                .build(),
            streams_waiting: meter
                .i64_up_down_counter("seedbed.streams.waiting")
                .with_unit("{job}")
                .with_description("Jobs that wait until they may open a stream")
                .build(),
            streams_refused: counter(
                "seedbed.streams.refused",
                "{stream}",
                "Streams that the service refused because too many are open (429)",
            ),
            buckets_used: counter(
                "seedbed.buckets.used",
                "{bucket}",
                "Buckets that were taken from the bucket cache",
            ),
            buckets_operations: counter(
                "seedbed.buckets.operations",
                "{operation}",
                "Operations that were taken from the bucket cache",
            ),
            buckets_saved: counter(
                "seedbed.buckets.saved",
                "By",
                "Bytes of lines that were taken from the bucket cache",
            ),
            buckets_filled: counter(
                "seedbed.buckets.filled",
                "{bucket}",
                "Buckets that were written to the bucket cache",
            ),
            buckets_dropped: counter(
                "seedbed.buckets.dropped",
                "{bucket}",
                "Entries of the bucket cache that were of no use",
            ),
            templates_made: counter(
                "seedbed.templates.made",
                "{template}",
                "Databases that were prepared with shared buckets",
            ),
            templates_used: counter(
                "seedbed.templates.used",
                "{job}",
                "Jobs that have started from a prepared database",
            ),
            templates_operations: counter(
                "seedbed.templates.operations",
                "{operation}",
                "Operations that were not written again, since a job has started from a prepared database",
            ),
            templates_dropped: counter(
                "seedbed.templates.dropped",
                "{template}",
                "Prepared databases that were of no use any more",
            ),
        }
    }

    /// Records how many slots the worker has.
    pub(crate) fn has_slots(&self, slots: u16) {
        self.slots.record(slots.into(), &[]);
    }

    /// Records how many streams may be open at a time.
    pub(crate) fn streams_allowed(&self, streams: u16) {
        self.streams_allowed.record(streams.into(), &[]);
        // The others are there from the beginning too, so that their rates are right.
        self.streams_waiting.add(0, &[]);
        self.streams_refused.add(0, &[]);
        for counter in [
            &self.buckets_used,
            &self.buckets_operations,
            &self.buckets_saved,
            &self.buckets_filled,
            &self.templates_made,
            &self.templates_used,
            &self.templates_operations,
        ] {
            counter.add(0, &[]);
        }
        let reason = KeyValue::new("seedbed.reason", "age");
        self.buckets_dropped.add(0, &[reason]);
        let reason = KeyValue::new("seedbed.reason", "stale");
        self.templates_dropped.add(0, &[reason]);
    }

    /// Counts a job as waiting for a stream until the returned guard is dropped.
    pub(crate) fn waiting_for_stream(&self) -> InFlight {
        self.streams_waiting.add(1, &[]);
        InFlight(self.streams_waiting.clone())
    }

    /// Counts a stream that was refused because too many are open.
    pub(crate) fn stream_refused(&self) {
        self.streams_refused.add(1, &[]);
    }

    /// Counts a bucket that was taken from the cache.
    pub(crate) fn bucket_used(&self, operations: u64, bytes: u64) {
        self.buckets_used.add(1, &[]);
        self.buckets_operations.add(operations, &[]);
        self.buckets_saved.add(bytes, &[]);
    }

    /// Counts a bucket that was written to the cache.
    pub(crate) fn bucket_filled(&self) {
        self.buckets_filled.add(1, &[]);
    }

    /// Counts an entry of the cache that was of no use, for this reason.
    pub(crate) fn bucket_dropped(&self, reason: &'static str) {
        self.buckets_dropped
            .add(1, &[KeyValue::new("seedbed.reason", reason)]);
    }

    /// Counts a database that was prepared with shared buckets.
    pub(crate) fn template_made(&self) {
        self.templates_made.add(1, &[]);
    }

    /// Counts a job that has started from a prepared database with so many operations.
    pub(crate) fn template_used(&self, operations: u64) {
        self.templates_used.add(1, &[]);
        self.templates_operations.add(operations, &[]);
    }

    /// Counts a prepared database that is of no use any more, for this reason.
    pub(crate) fn template_dropped(&self, reason: &'static str) {
        self.templates_dropped
            .add(1, &[KeyValue::new("seedbed.reason", reason)]);
    }

    /// Counts a job as in flight until the returned guard is dropped.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.in_flight.add(1, &[]);
        InFlight(self.in_flight.clone())
    }

    /// Counts a settled job.
    pub(crate) fn settled(&self, outcome: JobOutcome, took: Duration) {
        let outcome = [KeyValue::new("seedbed.outcome", outcome.name())];
        self.jobs.add(1, &outcome);
        self.job_duration.record(took.as_secs_f64(), &outcome);
    }

    /// Counts a job that is retried because this step failed.
    pub(crate) fn retried(&self, step: &'static str) {
        self.retries.add(1, &[KeyValue::new("seedbed.step", step)]);
    }

    /// Records a step's duration, whether or not it succeeded.
    pub(crate) fn step(&self, step: &'static str, took: Duration) {
        let step = [KeyValue::new("seedbed.step", step)];
        self.step_duration.record(took.as_secs_f64(), &step);
    }

    /// Counts what a stream has brought.
    pub(crate) fn downloaded(&self, operations: u64, bytes: u64) {
        self.operations.add(operations, &[]);
        self.downloaded.add(bytes, &[]);
    }

    /// Counts a new snapshot.
    pub(crate) fn uploaded(&self, manifest: &Manifest) {
        self.rows.add(manifest.rows(), &[]);
        let bytes = manifest.all_renditions().map(|rendition| rendition.bytes);
        self.uploaded.add(bytes.sum(), &[]);
        self.noted.add(u64::from(!manifest.notes.is_empty()), &[]);
    }
}

/// Counts a job as in flight, or as waiting, until it is dropped.
pub(crate) struct InFlight(UpDownCounter<i64>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

/// Counters that a progress bar reads while jobs run: the sums over all jobs of a worker. They only ever grow.
#[derive(Debug, Default)]
pub struct Counters {
    operations: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    /// Returns how many operations were downloaded; nearly always one a row.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Returns how many bytes of streams were downloaded, after decompression.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, operations: u64, bytes: u64) {
        self.operations.fetch_add(operations, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

//! What a row and a store cost: the only place with these figures. Each names its source, a section of `tests/bench/README.md`
//! unless it says otherwise; a test compares them with what was measured there.

use serde::Serialize;

/// The service's CPU for a row that it streams, in seconds. One process uses one core: 500,000 rows take 16 s, however many
/// streams there are (PowerSync service 1.25.0).
pub(super) const SERVICE_ROW: f64 = 32e-6;

/// The service's CPU for a request that brings nothing new, in seconds: 2.5 to 5 ms (PowerSync service 1.25.0).
pub(super) const SERVICE_REQUEST: f64 = 4e-3;

/// Streams that a process of the service takes at a time (PowerSync's documentation).
pub(super) const SERVICE_STREAMS: f64 = 200.0;

/// A worker's CPU for each row and for each store of a full download, in seconds: "seed" and "small_stores".
pub(super) const FULL_ROW: f64 = 4.5e-6;
pub(super) const FULL_STORE: f64 = 4.5e-3;

/// The same for a job that starts from a snapshot: for each row that is in the file, since all of it is verified and hashed,
/// and for each store. "reuse".
pub(super) const BASE_ROW: f64 = 3.3e-6;
pub(super) const BASE_STORE: f64 = 6.5e-3;

/// A worker's CPU for a store that has not changed, in seconds: "reuse".
pub(super) const UNCHANGED_STORE: f64 = 1.1e-3;

/// The time of a full download of one store, as a multiple of the service's time for its rows: "seed", at the service's pace.
pub(super) const FULL_OF_DOWNLOAD: f64 = 1.1;

/// The CPU of the coordinator, its catalog and RabbitMQ for a store of a sweep, in seconds: "sweep", where two cores are busy for
/// 35 s with 100,000 stores, stand-ins included.
pub(super) const COORDINATOR_STORE: f64 = 0.7e-3;

/// Bytes of a SQLite file for a row, if nothing else is known: "renditions".
pub(super) const FILE_ROW_BYTES: f64 = 1139.0;

/// Bytes of a stream for a row, decompressed, as a share of those in the file: "reuse".
pub(super) const STREAMED_OF_FILE: f64 = 0.48;

/// Memory of a slot besides its page cache, in bytes: "seed".
pub(super) const SLOT_MEMORY: f64 = 100.0 * 1024.0 * 1024.0;

/// Disk of a slot, as a multiple of the largest snapshot: the database, its copy in order, its compact form, and what
/// is sorted.
pub(super) const SLOT_DISK: f64 = 2.5;

/// Slots for a core: half of the time, a slot waits for the service.
pub(super) const SLOTS_A_CORE: f64 = 2.0;

/// The share of a core that is planned with: the rest is for retries, and for the end of a sweep, when some slots are idle.
pub(super) const BUSY: f64 = 0.8;

/// One figure, for people who want to know what a plan rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Assumption {
    /// What it is.
    pub what: &'static str,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
}

const fn assume(what: &'static str, value: f64, unit: &'static str) -> Assumption {
    Assumption { what, value, unit }
}

/// Every figure that a plan rests on, besides its input.
pub const ASSUMPTIONS: &[Assumption] = &[
    assume(
        "the service's CPU for a row that it streams",
        SERVICE_ROW * 1e6,
        "µs",
    ),
    assume(
        "the service's CPU for a request that brings nothing new",
        SERVICE_REQUEST * 1e3,
        "ms",
    ),
    assume("streams of a process of the service", SERVICE_STREAMS, ""),
    assume(
        "a worker's CPU for a row that is downloaded",
        FULL_ROW * 1e6,
        "µs",
    ),
    assume(
        "a worker's CPU for a store that is downloaded in full, besides",
        FULL_STORE * 1e3,
        "ms",
    ),
    assume(
        "a worker's CPU for a row of a changed store",
        BASE_ROW * 1e6,
        "µs",
    ),
    assume(
        "a worker's CPU for a changed store, besides",
        BASE_STORE * 1e3,
        "ms",
    ),
    assume(
        "a worker's CPU for an unchanged store",
        UNCHANGED_STORE * 1e3,
        "ms",
    ),
    assume(
        "the CPU of coordinator, catalog and RabbitMQ for a store",
        COORDINATOR_STORE * 1e3,
        "ms",
    ),
    assume(
        "a full download, as a multiple of the service's time",
        FULL_OF_DOWNLOAD,
        "",
    ),
    assume(
        "a stream's bytes, as a share of the file's",
        STREAMED_OF_FILE,
        "",
    ),
    assume("slots for a core of a worker", SLOTS_A_CORE, ""),
    assume("the share of a core that is planned with", BUSY, ""),
];

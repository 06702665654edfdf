//! The table `snapshots`: which one is live (`record`, of many stores `together`), which may be deleted (`retention`), how large they are
//! (`sizes`, `fleet`), how young they were (`freshness`), which were taken back (`withdraw`), and how a new catalog is filled from manifests (`restore`).
//!
//! In: events, `gc`, `rebuild-catalog`. Out: rows of `snapshots`, and the live snapshot that every download asks for. Each change
//! is part of one transaction: a kill leaves it made or not made.

mod fleet;
mod freshness;
mod generations;
mod record;
mod restore;
mod retention;
mod sizes;
mod together;
mod withdraw;
mod withdrawn;

pub use fleet::KnownFleet;
pub(super) use freshness::count_fresh;
pub use freshness::{FreshCount, FreshnessHistory, FreshnessPromise};
pub use generations::ConfigChange;
pub(super) use generations::live_generation;
pub use record::SnapshotRecord;
pub(super) use record::{Recorded, SNAPSHOT_COLUMNS, record_snapshot, snapshot_record};
pub use retention::{JobObjects, Retention, SnapshotRef};
pub use sizes::{HandedOut, SizeDay, SizeOrder, SizeTotals, StoreSize};
pub(super) use together::{LiveSnapshot, live_snapshots, record_live};
pub use withdraw::{StaleLatest, Withdrawal, Withdrawn};
pub(super) use withdrawn::{is_withdrawn, note_change};

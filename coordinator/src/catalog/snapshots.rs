//! The table of snapshots: the live ones, those that may go, and those that come back from their manifests.

mod record;
mod restore;
mod retention;

pub use record::SnapshotRecord;
pub(super) use record::{SNAPSHOT_COLUMNS, record_snapshot, snapshot_record};
pub use retention::{JobObjects, Retention, SnapshotRef};

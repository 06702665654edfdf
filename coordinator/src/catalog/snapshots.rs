//! The table `snapshots`: what is recorded and which is live (`record`), what may be deleted (`retention`), and what a
//! new catalog takes over from manifests (`restore`).

mod record;
mod restore;
mod retention;

pub use record::SnapshotRecord;
pub(super) use record::{SNAPSHOT_COLUMNS, record_snapshot, snapshot_record};
pub use retention::{JobObjects, Retention, SnapshotRef};

//! How long a connection has brought nothing.

use std::time::{Duration, Instant};

use powersync::{PowerSyncDatabase, error::PowerSyncError};

/// Returns when no operation has come for `limit`. Once all have come they are applied, and that says nothing for as long as it
/// takes.
pub(crate) async fn of(db: &PowerSyncDatabase, limit: Duration) -> Result<(), PowerSyncError> {
    let mut most = 0;
    let mut last = Instant::now();
    while last.elapsed() < limit {
        tokio::time::sleep(limit / LOOKS).await;
        let arrived = arrived(db).await?;
        if arrived > most || has_all(db) {
            last = Instant::now();
        }
        most = most.max(arrived);
    }
    Ok(())
}

/// Grows with each operation.
async fn arrived(db: &PowerSyncDatabase) -> Result<i64, PowerSyncError> {
    let reader = db.reader().await?;
    let last = "SELECT ifnull(max(rowid), 0) FROM ps_oplog";
    Ok(reader.query_row(last, (), |row| row.get(0))?)
}

/// Whether a checkpoint is there as a whole, as far as streams say so.
fn has_all(db: &PowerSyncDatabase) -> bool {
    let status = db.status();
    let (downloaded, total) = status
        .streams()
        .filter_map(|stream| stream.progress)
        .fold((0, 0), |(downloaded, total), its| {
            (downloaded + its.downloaded, total + its.total)
        });
    status.is_downloading() && total > 0 && downloaded >= total
}

/// Looks in a limit.
const LOOKS: u32 = 30;

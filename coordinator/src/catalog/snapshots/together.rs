//! Live snapshots of many stores at a time: which ones there are, and new ones that take their place.

use std::collections::HashMap;

use seedbed_protocol::{JobId, StoreId, manifest::Manifest};
use sqlx::Row;

use super::record::{is_older, stored_manifest, took};
use crate::catalog::{
    database::{
        CatalogError, Dialect, Tx, ids, json, millis, parsed, printable, sql, stored, wanted,
    },
    state::SnapshotState::{Live, Superseded},
};

/// The live snapshot of a store.
pub(in crate::catalog) struct LiveSnapshot {
    job_id: JobId,
    attempt: i64,
    manifest: String,
    generation: Option<String>,
    /// Its rows.
    pub(in crate::catalog) rows: i64,
    /// Its bytes.
    pub(in crate::catalog) bytes: i64,
}

impl LiveSnapshot {
    /// Returns whether `manifest` is not older.
    pub(in crate::catalog) fn is_replaced_by(&self, manifest: &Manifest) -> bool {
        !is_older(manifest, (self.job_id, self.attempt), &self.manifest)
    }

    /// Returns the sync config that named its buckets.
    pub(in crate::catalog) fn generation(&self) -> Option<String> {
        if self.generation.is_some() {
            return self.generation.clone();
        }
        let manifest: Manifest = serde_json::from_str(&self.manifest).ok()?;
        manifest.checkpoint.generation().map(ToOwned::to_owned)
    }
}

/// Reads each live snapshot by its store.
fn live_of_wanted(dialect: Dialect) -> String {
    format!(
        "WITH {} SELECT store_id, job_id, attempt, manifest, generation, row_count, byte_count \
         FROM wanted CROSS JOIN snapshots WHERE store_id = wanted.id AND state = '{Live}'",
        dialect.wanted()
    )
}

/// Returns the live snapshots of these stores, by store.
pub(in crate::catalog) async fn live_snapshots<'a>(
    tx: &mut Tx,
    stores: impl ExactSizeIterator<Item = &'a StoreId>,
) -> Result<HashMap<String, LiveSnapshot>, CatalogError> {
    let statement = sql!("{}", live_of_wanted(tx.dialect()));
    let rows = sqlx::query(statement)
        .bind(wanted(stores))
        .fetch_all(&mut **tx)
        .await?;
    rows.iter()
        .map(|row| {
            let live = LiveSnapshot {
                job_id: parsed(row, "job_id", "a job id")?,
                attempt: row.try_get("attempt")?,
                manifest: row.try_get("manifest")?,
                generation: row.try_get("generation")?,
                rows: row.try_get("row_count")?,
                bytes: row.try_get("byte_count")?,
            };
            Ok((row.try_get("store_id")?, live))
        })
        .collect()
}

/// Records snapshots of jobs that have none, of different stores, as the live ones, each in the place of the one beside it.
pub(in crate::catalog) async fn record_live(
    tx: &mut Tx,
    snapshots: &[(&Manifest, Option<&LiveSnapshot>)],
) -> Result<(), CatalogError> {
    if snapshots.is_empty() {
        return Ok(());
    }
    let replaced = snapshots.iter().filter_map(|(_, live)| *live);
    let replaced: Vec<JobId> = replaced.map(|live| live.job_id).collect();
    if !replaced.is_empty() {
        // Not by the index of states, which SQLite would take: it has every live snapshot.
        let statement = sql!(
            "UPDATE snapshots SET state = '{Superseded}', superseded_at = {now} \
             WHERE job_id {} AND state || '' = '{Live}'",
            tx.dialect().among(1),
            now = tx.dialect().now()
        );
        sqlx::query(statement)
            .bind(ids(replaced))
            .execute(&mut **tx)
            .await?;
    }
    let columns = "job_id TEXT, attempt BIGINT, run_id TEXT, store_id TEXT, manifest TEXT, row_count BIGINT, \
         byte_count BIGINT, last_op_id BIGINT, created_at BIGINT, generation TEXT, object_bytes BIGINT, \
         synced_bytes BIGINT, took BIGINT";
    let statement = sql!(
        "INSERT INTO snapshots (job_id, attempt, run_id, store_id, manifest, row_count, byte_count, \
             last_op_id, created_at, verified_at, state, generation, object_bytes, synced_bytes, took) \
         SELECT job_id, attempt, run_id, store_id, manifest, row_count, byte_count, \
             last_op_id, created_at, created_at, '{Live}', generation, object_bytes, synced_bytes, took \
         FROM ({}) made",
        tx.dialect().rows_in(columns)
    );
    let mut made = Vec::with_capacity(snapshots.len());
    for (manifest, _) in snapshots {
        let objects = manifest.all_renditions().map(|rendition| rendition.bytes);
        made.push((
            manifest.job_id.to_string(),
            manifest.attempt.get(),
            manifest.run_id.to_string(),
            manifest.store_id.as_str(),
            stored_manifest(manifest)?,
            stored(manifest.rows()),
            stored(manifest.bytes()),
            manifest.checkpoint.last_op_id.0,
            millis(manifest.created_at),
            manifest.checkpoint.generation().map(printable),
            stored(objects.sum()),
            stored(manifest.download.bytes),
            took(manifest),
        ));
    }
    sqlx::query(statement)
        .bind(json(made))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::catalog::Catalog;

    #[tokio::test]
    async fn sqlite_finds_live_snapshots_by_store_and_does_not_read_all_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/catalog.db", directory.path().display());
        let catalog = Catalog::open(&url).await.unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {}", live_of_wanted(catalog.dialect));
        let plan = sqlx::query(AssertSqlSafe(plan)).bind(wanted(["1", "2"]));
        let rows = plan.fetch_all(&catalog.readers).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let by_store = steps
            .iter()
            .any(|step| step.contains("snapshots_live (store_id=?)"));
        assert!(by_store, "{steps:?}");
    }
}

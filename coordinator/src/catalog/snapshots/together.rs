//! Live snapshots of many stores at a time: which ones there are, and new ones that take their place.

use std::collections::HashMap;

use seedbed_protocol::{JobId, StoreId, manifest::Manifest};
use sqlx::Row;

use super::record::{is_older, stored_manifest, took};
use crate::catalog::{
    database::{
        CatalogError, Tx, bind_all, list_of, millis, parsed, printable, rows_of, sql, stored,
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

/// Returns the live snapshots of these stores, by store.
pub(in crate::catalog) async fn live_snapshots<'a>(
    tx: &mut Tx,
    stores: impl ExactSizeIterator<Item = &'a StoreId>,
) -> Result<HashMap<String, LiveSnapshot>, CatalogError> {
    let statement = sql!(
        "SELECT store_id, job_id, attempt, manifest, generation, row_count, byte_count \
         FROM snapshots WHERE state = '{Live}' AND store_id IN ({})",
        list_of(1, stores.len())
    );
    let rows = bind_all(sqlx::query(statement), stores)
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
    let replaced = snapshots.iter().filter(|(_, live)| live.is_some());
    let replaced: Vec<&StoreId> = replaced.map(|(made, _)| &made.store_id).collect();
    if !replaced.is_empty() {
        let statement = sql!(
            "UPDATE snapshots SET state = '{Superseded}', superseded_at = {now} \
             WHERE state = '{Live}' AND store_id IN ({})",
            list_of(1, replaced.len()),
            now = tx.dialect().now()
        );
        bind_all(sqlx::query(statement), replaced)
            .execute(&mut **tx)
            .await?;
    }
    let statement = sql!(
        "INSERT INTO snapshots (job_id, attempt, run_id, store_id, manifest, row_count, byte_count, \
             last_op_id, created_at, verified_at, state, generation, object_bytes, synced_bytes, took) \
         VALUES {}",
        rows_of(1, snapshots.len(), 15)
    );
    let mut query = sqlx::query(statement);
    for (manifest, _) in snapshots {
        let objects = manifest.all_renditions().map(|rendition| rendition.bytes);
        query = query
            .bind(manifest.job_id.to_string())
            .bind(i64::from(manifest.attempt.get()))
            .bind(manifest.run_id.to_string())
            .bind(manifest.store_id.to_string())
            .bind(stored_manifest(manifest)?)
            .bind(stored(manifest.rows()))
            .bind(stored(manifest.bytes()))
            .bind(manifest.checkpoint.last_op_id.0)
            .bind(millis(manifest.created_at))
            .bind(millis(manifest.created_at))
            .bind(Live.name())
            .bind(manifest.checkpoint.generation().map(printable))
            .bind(stored(objects.sum()))
            .bind(stored(manifest.download.bytes))
            .bind(took(manifest));
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

//! Generations: which sync config named the buckets of a snapshot. Another one makes bases and old snapshots worthless.

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, StoreId, manifest::Manifest};
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;

use super::record::{SNAPSHOT_COLUMNS, snapshot_record};
use crate::catalog::{
    database::{Catalog, CatalogError, Tx, count, parsed, sql, time},
    state::{JobState::Retried, SnapshotState::Live},
};

/// Live snapshots that another sync config than `$1` made, of stores that no job has looked at since `$1` was first seen.
fn stale() -> String {
    format!(
        "FROM snapshots live JOIN stores ON stores.store_id = live.store_id \
         WHERE live.state = '{Live}' AND stores.retired_at IS NULL \
             AND live.generation IS NOT NULL AND live.generation <> $1 \
             AND live.verified_at < (SELECT MIN(created_at) FROM snapshots WHERE generation = $1)"
    )
}

/// A change of the sync config that jobs have found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigChange {
    /// The sync config of the snapshots until then, by the number in its buckets' names.
    pub from: String,
    /// The new one.
    pub to: String,
    /// Stores that are downloaded in full because of it.
    pub stores: u64,
}

impl Catalog {
    /// Returns the changes of the sync config that the jobs of a run found.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn config_changes(&self, run_id: RunId) -> Result<Vec<ConfigChange>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT from_generation, to_generation, COUNT(*) AS n FROM jobs \
             WHERE run_id = $1 AND from_generation IS NOT NULL AND state <> '{Retried}' \
             GROUP BY from_generation, to_generation ORDER BY n DESC, from_generation"
        ))
        .bind(run_id.to_string())
        .fetch_all(&self.readers)
        .await?;
        let change = |row| {
            Ok(ConfigChange {
                from: Row::try_get(row, "from_generation")?,
                to: Row::try_get(row, "to_generation")?,
                stores: count(row, "n")?,
            })
        };
        rows.iter().map(change).collect()
    }

    /// Returns the changes to the sync config `generation` that stores still have before them.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn stale_generations(
        &self,
        generation: &str,
    ) -> Result<Vec<ConfigChange>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT live.generation, COUNT(*) AS n {} GROUP BY live.generation ORDER BY n DESC",
            stale()
        ))
        .bind(generation)
        .fetch_all(&self.readers)
        .await?;
        let change = |row| {
            Ok(ConfigChange {
                from: Row::try_get(row, "generation")?,
                to: generation.to_owned(),
                stores: count(row, "n")?,
            })
        };
        rows.iter().map(change).collect()
    }

    /// Returns the sync configs that snapshots were made with, and when the first of each was made.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn generations(&self) -> Result<Vec<(String, DateTime<Utc>)>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT generation, MIN(created_at) AS first_seen FROM snapshots \
             WHERE generation IS NOT NULL GROUP BY generation"
        ))
        .fetch_all(&self.readers)
        .await?;
        let first = |row| {
            let first_seen = time(Row::try_get(row, "first_seen")?)?;
            Ok((Row::try_get(row, "generation")?, first_seen))
        };
        rows.iter().map(first).collect()
    }

    /// Returns the stores whose live snapshot another sync config than `generation` made.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn stale_stores(&self, generation: &str) -> Result<Vec<StoreId>, CatalogError> {
        let rows = sqlx::query(sql!("SELECT live.store_id {}", stale()))
            .bind(generation)
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| parsed(row, "store_id", "a store id"))
            .collect()
    }
}

/// Returns the generation of a store's live snapshot.
pub(in crate::catalog) async fn live_generation(
    tx: &mut Tx,
    manifest: &Manifest,
) -> Result<Option<String>, CatalogError> {
    let live = sqlx::query(sql!(
        "SELECT generation, {SNAPSHOT_COLUMNS} FROM snapshots \
         WHERE store_id = $1 AND state = '{Live}'"
    ))
    .bind(manifest.store_id.to_string())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(live) = live else {
        return Ok(None);
    };
    if let Some(known) = live.try_get("generation")? {
        return Ok(Some(known));
    }
    // A damaged manifest must not keep its successor from replacing it.
    let live = snapshot_record(&live).ok();
    let generation = live
        .as_ref()
        .and_then(|live| live.manifest.checkpoint.generation());
    Ok(generation.map(ToOwned::to_owned))
}

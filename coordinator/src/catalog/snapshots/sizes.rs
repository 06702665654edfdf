//! How large snapshots are, how they grow, and how many bytes go where.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use seedbed_protocol::manifest::{Encoding, Form};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;

use crate::catalog::{
    database::{Catalog, CatalogError, count, millis, sql, stored, time},
    state::SnapshotState::{Deleted, Live},
};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// All snapshots, with the time until which clients got each; NULL for those that they get.
fn all() -> String {
    format!(
        "SELECT snapshots.created_at, snapshots.byte_count, \
             COALESCE(snapshots.object_bytes, snapshots.byte_count) AS objects, \
             COALESCE(snapshots.synced_bytes, 0) AS synced, \
             CASE WHEN snapshots.state = '{Live}' THEN stores.retired_at \
                 ELSE COALESCE(snapshots.superseded_at, stores.retired_at, snapshots.created_at) END AS ended_at \
         FROM snapshots LEFT JOIN stores ON stores.store_id = snapshots.store_id"
    )
}

/// Each store's live snapshot, with its bytes at $1, or those of the oldest one that is known.
fn sizes() -> String {
    let then =
        "SELECT earlier.byte_count FROM snapshots earlier WHERE earlier.store_id = live.store_id";
    format!(
        "SELECT live.store_id, live.byte_count, live.row_count, live.created_at, COALESCE( \
             ({then} AND earlier.created_at <= $1 ORDER BY earlier.created_at DESC LIMIT 1), \
             ({then} ORDER BY earlier.created_at LIMIT 1)) AS before \
         FROM snapshots live WHERE live.state = '{Live}' AND NOT EXISTS ( \
             SELECT 1 FROM stores WHERE stores.store_id = live.store_id AND retired_at IS NOT NULL)"
    )
}

/// How large a store's snapshot is, and was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreSize {
    /// The store.
    pub store_id: String,
    /// Bytes of its live snapshot, uncompressed.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes when the period began; of the oldest snapshot that is known, if that is younger.
    pub bytes_before: u64,
    /// When the live snapshot was made.
    pub created_at: DateTime<Utc>,
}

/// In which order stores are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeOrder {
    /// The largest first.
    Bytes,
    /// Those that grew most first.
    Growth,
    /// By id.
    Store,
}

/// What all snapshots add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeTotals {
    /// Stores with a live snapshot.
    pub stores: u64,
    /// Bytes of live snapshots, uncompressed.
    pub bytes: u64,
    /// Rows in them.
    pub rows: u64,
    /// Snapshots whose objects are there, live or not.
    pub stored_snapshots: u64,
    /// Bytes of their objects, in every form and encoding.
    pub stored_bytes: u64,
}

/// The bytes of one day, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SizeDay {
    /// When it began.
    pub day: DateTime<Utc>,
    /// Bytes of live snapshots when it ended, uncompressed.
    pub bytes: u64,
    /// Bytes of the objects that workers uploaded.
    pub uploaded_bytes: u64,
    /// Bytes that jobs which made a snapshot downloaded from PowerSync.
    pub synced_bytes: u64,
}

/// What clients were told to download on one day, in one form and encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandedOut {
    /// When the day began, in UTC.
    pub day: DateTime<Utc>,
    /// The form.
    pub form: String,
    /// The encoding.
    pub encoding: String,
    /// URLs that were handed out.
    pub downloads: u64,
    /// Bytes, if each was downloaded once and whole.
    pub bytes: u64,
}

/// What one day adds to, and takes from, the bytes of live snapshots.
#[derive(Default)]
struct Change {
    added: u64,
    removed: u64,
    uploaded: u64,
    synced: u64,
}

impl Catalog {
    /// Returns what all snapshots add up to.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn size_totals(&self) -> Result<SizeTotals, CatalogError> {
        let live = sqlx::query(sql!(
            "SELECT COUNT(*) AS stores, CAST(COALESCE(SUM(byte_count), 0) AS BIGINT) AS bytes, \
                 CAST(COALESCE(SUM(row_count), 0) AS BIGINT) AS row_sum \
             FROM snapshots WHERE state = '{Live}' AND NOT EXISTS ( \
                 SELECT 1 FROM stores WHERE stores.store_id = snapshots.store_id AND retired_at IS NOT NULL)"
        ))
        .fetch_one(&self.readers)
        .await?;
        let there = sqlx::query(sql!(
            "SELECT COUNT(*) AS n, \
                 CAST(COALESCE(SUM(COALESCE(object_bytes, byte_count)), 0) AS BIGINT) AS bytes \
             FROM snapshots WHERE state <> '{Deleted}'"
        ))
        .fetch_one(&self.readers)
        .await?;
        Ok(SizeTotals {
            stores: count(&live, "stores")?,
            bytes: count(&live, "bytes")?,
            rows: count(&live, "row_sum")?,
            stored_snapshots: count(&there, "n")?,
            stored_bytes: count(&there, "bytes")?,
        })
    }

    /// Returns how large stores are and were at `since`, at most `limit` of them.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn store_sizes(
        &self,
        since: DateTime<Utc>,
        order: SizeOrder,
        limit: u32,
    ) -> Result<Vec<StoreSize>, CatalogError> {
        let order = match order {
            SizeOrder::Bytes => "byte_count DESC, store_id",
            SizeOrder::Growth => "byte_count - before DESC, store_id",
            SizeOrder::Store => "store_id",
        };
        let sizes = sizes();
        let rows = sqlx::query(sql!(
            "SELECT store_id, byte_count, row_count, created_at, before FROM ({sizes}) sizes \
             ORDER BY {order} LIMIT $2"
        ))
        .bind(millis(since))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(store_size).collect()
    }

    /// Returns what all stores together had at `since`, each counted as [`Self::store_sizes`] does.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn bytes_before(&self, since: DateTime<Utc>) -> Result<u64, CatalogError> {
        let sizes = sizes();
        let row = sqlx::query(sql!(
            "SELECT CAST(COALESCE(SUM(before), 0) AS BIGINT) AS before FROM ({sizes}) sizes"
        ))
        .bind(millis(since))
        .fetch_one(&self.readers)
        .await?;
        count(&row, "before")
    }

    /// Returns the bytes of each day from `since` until `until`, the oldest first.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn size_days(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<SizeDay>, CatalogError> {
        let (first, last) = (millis(since) / DAY, millis(until) / DAY);
        let all = all();
        let rows = sqlx::query(sql!(
            "SELECT day, CAST(SUM(added) AS BIGINT) AS added, CAST(SUM(removed) AS BIGINT) AS removed, \
                 CAST(SUM(uploaded) AS BIGINT) AS uploaded, CAST(SUM(synced) AS BIGINT) AS synced FROM ( \
                 SELECT created_at / {DAY} AS day, byte_count AS added, 0 AS removed, \
                     objects AS uploaded, synced FROM ({all}) made WHERE created_at >= $1 \
                 UNION ALL \
                 SELECT ended_at / {DAY}, 0, byte_count, 0, 0 FROM ({all}) ended WHERE ended_at >= $1) changes \
             GROUP BY day"
        ))
        .bind(first * DAY)
        .fetch_all(&self.readers)
        .await?;
        let mut changes = BTreeMap::new();
        for row in &rows {
            let change = Change {
                added: count(row, "added")?,
                removed: count(row, "removed")?,
                uploaded: count(row, "uploaded")?,
                synced: count(row, "synced")?,
            };
            changes.insert(row.try_get::<i64, _>("day")?, change);
        }
        // Backwards from what there is now: what was there before the period need not be read.
        let mut bytes = self.size_totals().await?.bytes;
        let mut days = Vec::new();
        for day in (first..=last).rev() {
            let change = changes.remove(&day).unwrap_or_default();
            days.push(SizeDay {
                day: time(day * DAY)?,
                bytes,
                uploaded_bytes: change.uploaded,
                synced_bytes: change.synced,
            });
            bytes = (bytes + change.removed).saturating_sub(change.added);
        }
        days.reverse();
        Ok(days)
    }

    /// Adds to what clients were told to download today.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn add_handed_out(
        &self,
        (form, encoding): (Form, Encoding),
        downloads: u64,
        bytes: u64,
    ) -> Result<(), CatalogError> {
        let now = self.now().await?;
        sqlx::query(
            "INSERT INTO handed_out (day, form, encoding, downloads, byte_count) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (day, form, encoding) DO UPDATE SET \
                 downloads = handed_out.downloads + excluded.downloads, \
                 byte_count = handed_out.byte_count + excluded.byte_count",
        )
        .bind(millis(now) / DAY)
        .bind(form.name())
        .bind(encoding.name())
        .bind(stored(downloads))
        .bind(stored(bytes))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns what clients were told to download since `since`, by day, form and encoding.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn handed_out(&self, since: DateTime<Utc>) -> Result<Vec<HandedOut>, CatalogError> {
        let rows = sqlx::query(
            "SELECT day, form, encoding, downloads, byte_count FROM handed_out WHERE day >= $1 \
             ORDER BY day, form, encoding",
        )
        .bind(millis(since) / DAY)
        .fetch_all(&self.readers)
        .await?;
        let handed = |row: &AnyRow| {
            Ok(HandedOut {
                day: time(row.try_get::<i64, _>("day")? * DAY)?,
                form: row.try_get("form")?,
                encoding: row.try_get("encoding")?,
                downloads: count(row, "downloads")?,
                bytes: count(row, "byte_count")?,
            })
        };
        rows.iter().map(handed).collect()
    }

    /// Removes what clients were told to download on days that ended before `before`: few rows, of one kind a day each.
    /// Returns how many.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn forget_handed_out(&self, before: DateTime<Utc>) -> Result<u64, CatalogError> {
        let removed = sqlx::query("DELETE FROM handed_out WHERE day < $1")
            .bind(millis(before) / DAY)
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected())
    }
}

fn store_size(row: &AnyRow) -> Result<StoreSize, CatalogError> {
    Ok(StoreSize {
        store_id: row.try_get("store_id")?,
        bytes: count(row, "byte_count")?,
        rows: count(row, "row_count")?,
        bytes_before: count(row, "before")?,
        created_at: time(row.try_get("created_at")?)?,
    })
}

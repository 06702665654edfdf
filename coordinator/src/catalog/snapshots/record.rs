//! Records of snapshots: the live one of a store, which every download asks for; lists and ages of live ones; and how a
//! new one becomes live.

use std::{cmp::Ordering, collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use seedbed_protocol::{
    JobId, RunId, StoreId,
    manifest::{Dated, DisagreeingClocks, Manifest, Origin},
    message::BaseSnapshot,
};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use tracing::warn;

use super::withdrawn::{is_run_withdrawn, is_withdrawn, withdraw_one};
use crate::catalog::{
    database::{
        Catalog, CatalogError, Tx, count, damaged, elapsed, millis, parsed, printable, sql, stored,
        time, wanted,
    },
    jobs::PendingJob,
    state::SnapshotState::{self, Live, Superseded},
};

/// The quantiles of snapshot ages that are measured, by name and as percentages.
const QUANTILES: [(&str, u64); 4] = [("0.5", 50), ("0.9", 90), ("0.99", 99), ("1", 100)];

/// The largest manifest that is kept whole, in bytes: some 5,000 buckets. Bases of a page of jobs are read at a time.
const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

/// The columns of a [`SnapshotRecord`].
pub(in crate::catalog) const SNAPSHOT_COLUMNS: &str =
    "job_id, state, manifest, verified_at, withdrawn_at";

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SnapshotRecord {
    /// Its state.
    pub state: SnapshotState,
    /// When PowerSync was last known to hold exactly this.
    pub verified_at: DateTime<Utc>,
    /// When a person took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// Everything about it; without the buckets of its checkpoint if they are very many.
    #[serde(flatten)]
    pub manifest: Manifest,
}

impl Catalog {
    /// Returns the live snapshot of a store; none of a store that is retired.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn live_snapshot(
        &self,
        store_id: &StoreId,
    ) -> Result<Option<SnapshotRecord>, CatalogError> {
        let row = sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots WHERE store_id = $1 AND state = '{Live}' \
             AND NOT EXISTS ( \
                 SELECT 1 FROM stores WHERE store_id = $1 AND retired_at IS NOT NULL)"
        ))
        .bind(store_id.to_string())
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(snapshot_record).transpose()
    }

    /// Returns the live snapshots of the stores of `jobs`, by store: the bases that the jobs may start from.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn bases(
        &self,
        jobs: &[PendingJob],
    ) -> Result<HashMap<StoreId, BaseSnapshot>, CatalogError> {
        if jobs.is_empty() {
            return Ok(HashMap::new());
        }
        let statement = sql!(
            "WITH {} SELECT {SNAPSHOT_COLUMNS} FROM wanted \
             CROSS JOIN snapshots WHERE store_id = wanted.id AND state = '{Live}'",
            self.dialect.wanted()
        );
        let stores = jobs.iter().map(|job| &job.scope.store_id);
        let query = sqlx::query(statement).bind(wanted(stores));
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let manifest = snapshot_record(row)?.manifest;
                Ok((manifest.store_id.clone(), BaseSnapshot::from(manifest)))
            })
            .collect()
    }

    /// Returns the snapshots of a run that have notes, at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn noted(&self, run_id: RunId, limit: i64) -> Result<Vec<Manifest>, CatalogError> {
        // As serde writes it: no text within JSON has its quotes unescaped.
        let rows = sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots \
             WHERE run_id = $1 AND manifest LIKE '%,\"notes\":[%' ORDER BY store_id LIMIT $2"
        ))
        .bind(run_id.to_string())
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| Ok(snapshot_record(row)?.manifest))
            .collect()
    }

    /// Streams snapshots by store, the newest of each first: the live ones, or with `all` every one; of one store or of
    /// all.
    pub fn snapshots(
        &self,
        store_id: Option<&StoreId>,
        all: bool,
    ) -> BoxStream<'_, Result<SnapshotRecord, CatalogError>> {
        sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots \
             WHERE ($1 = '' OR store_id = $1) AND (state = '{Live}' OR $2 = 1) \
             ORDER BY store_id, created_at DESC"
        ))
        .bind(store_id.map(ToString::to_string).unwrap_or_default())
        .bind(i64::from(all))
        .fetch(&self.readers)
        .map(|row| snapshot_record(&row?))
        .boxed()
    }

    /// Returns the live snapshots of `count` stores, picked at random.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn sample_live(&self, count: i64) -> Result<Vec<Manifest>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots WHERE state = '{Live}' \
             AND NOT EXISTS ( \
                 SELECT 1 FROM stores \
                 WHERE stores.store_id = snapshots.store_id AND retired_at IS NOT NULL) \
             ORDER BY RANDOM() LIMIT $1"
        ))
        .bind(count)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| Ok(snapshot_record(row)?.manifest))
            .collect()
    }

    /// Returns the ages of live snapshots at `now`: the quantiles 0.5, 0.9, 0.99 and 1, by name. Empty without
    /// snapshots.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn snapshot_ages(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<(&'static str, Duration)>, CatalogError> {
        // Nearest rank, the youngest first.
        let places = QUANTILES.map(|(_, percent)| format!("(total * {percent} + 99) / 100"));
        let statement = sql!(
            "SELECT verified_at, place, total FROM (\
                 SELECT live.verified_at, ROW_NUMBER() OVER (ORDER BY live.verified_at DESC) AS place, \
                     COUNT(*) OVER () AS total \
                 FROM snapshots live JOIN stores ON stores.store_id = live.store_id \
                 WHERE live.state = '{Live}' AND stores.retired_at IS NULL\
             ) ranked WHERE place IN ({})",
            places.join(", ")
        );
        let rows = sqlx::query(statement).fetch_all(&self.readers).await?;
        let mut ages = Vec::with_capacity(QUANTILES.len());
        for (name, percent) in QUANTILES {
            for row in &rows {
                let rank = (count(row, "total")? * percent).div_ceil(100);
                if count(row, "place")? == rank {
                    ages.push((name, elapsed(row.try_get("verified_at")?, now)));
                }
            }
        }
        Ok(ages)
    }
}

pub(in crate::catalog) fn snapshot_record(row: &AnyRow) -> Result<SnapshotRecord, CatalogError> {
    let (job_id, json): (String, String) = (row.try_get("job_id")?, row.try_get("manifest")?);
    let withdrawn_at: Option<i64> = row.try_get("withdrawn_at")?;
    Ok(SnapshotRecord {
        state: parsed(row, "state", "the state of a snapshot")?,
        verified_at: time(row.try_get("verified_at")?)?,
        withdrawn_at: withdrawn_at.map(time).transpose()?,
        manifest: serde_json::from_str(&json)
            .map_err(|_| damaged(json, format!("the manifest of the job {job_id}")))?,
    })
}

/// What became of a snapshot that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Recorded {
    /// It was unknown, and is live if it is the newest.
    New,
    /// It was known.
    Known,
    /// It continues a snapshot that was withdrawn, or is of a run that was, and is withdrawn itself.
    Withdrawn,
}

/// Adds a snapshot of a known job, and makes it live if it is the newest. Two uploads of one attempt are one snapshot: the
/// first that is reported.
pub(in crate::catalog) async fn record_snapshot(
    tx: &mut Tx,
    manifest: &Manifest,
) -> Result<Recorded, CatalogError> {
    let is_new = insert_snapshot(tx, manifest).await?;
    let of_base = match manifest.origin {
        Origin::Base { job_id, .. } => is_withdrawn(tx, job_id).await?,
        Origin::Full { .. } => false,
    };
    if of_base || is_run_withdrawn(tx, manifest.run_id).await? {
        if is_new {
            withdraw_one(tx, manifest).await?;
        }
        return Ok(Recorded::Withdrawn);
    }
    if !is_new {
        return Ok(Recorded::Known);
    }
    promote(tx, manifest).await?;
    Ok(Recorded::New)
}

async fn insert_snapshot(tx: &mut Tx, manifest: &Manifest) -> Result<bool, CatalogError> {
    let json = stored_manifest(manifest)?;
    let objects = manifest
        .all_renditions()
        .map(|rendition| rendition.bytes)
        .sum();
    let inserted = sqlx::query(sql!(
        "INSERT INTO snapshots (job_id, attempt, run_id, store_id, manifest, row_count, byte_count, \
             last_op_id, created_at, verified_at, state, superseded_at, generation, object_bytes, \
             synced_bytes, took) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, '{Superseded}', {now}, $10, $11, $12, $13) \
         ON CONFLICT DO NOTHING",
        now = tx.dialect().now()
    ))
    .bind(manifest.job_id.to_string())
    .bind(i64::from(manifest.attempt.get()))
    .bind(manifest.run_id.to_string())
    .bind(manifest.store_id.to_string())
    .bind(json)
    .bind(stored(manifest.rows()))
    .bind(stored(manifest.bytes()))
    .bind(manifest.checkpoint.last_op_id.0)
    .bind(millis(manifest.created_at))
    .bind(manifest.checkpoint.generation().map(printable))
    .bind(stored(objects))
    .bind(stored(manifest.download.bytes))
    .bind(took(manifest))
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// How long the job worked that made a snapshot, in milliseconds.
pub(super) fn took(manifest: &Manifest) -> i64 {
    stored(manifest.steps.iter().map(|step| step.millis).sum())
}

/// The manifest as the catalog keeps it: without the buckets if they are very many, since the one in object storage has
/// them.
pub(super) fn stored_manifest(manifest: &Manifest) -> Result<String, CatalogError> {
    let json = |manifest: &Manifest| {
        serde_json::to_string(manifest).map_err(|e| CatalogError::Unstorable {
            what: "manifest",
            reason: e.to_string(),
        })
    };
    let whole = json(manifest)?;
    if whole.len() <= MAX_MANIFEST_BYTES {
        return Ok(whole);
    }
    let mut shorter = manifest.clone();
    shorter.checkpoint.leave_out_buckets();
    json(&shorter)
}

/// Makes a new snapshot live, unless the live one is newer, see [`Dated::order`].
async fn promote(tx: &mut Tx, manifest: &Manifest) -> Result<(), CatalogError> {
    let live = sqlx::query(sql!(
        "SELECT job_id, attempt, manifest FROM snapshots WHERE store_id = $1 AND state = '{Live}'"
    ))
    .bind(manifest.store_id.to_string())
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(live) = live {
        let job_id: JobId = parsed(&live, "job_id", "a job id")?;
        let (attempt, json): (i64, String) = (live.try_get("attempt")?, live.try_get("manifest")?);
        if is_older(manifest, (job_id, attempt), &json) {
            return Ok(());
        }
    }
    make_live(tx, manifest).await
}

/// Whether a snapshot is older than the live one, of this job and attempt and with this manifest.
pub(super) fn is_older(manifest: &Manifest, live: (JobId, i64), json: &str) -> bool {
    let Ok(live_manifest) = serde_json::from_str::<Manifest>(json) else {
        // What is damaged is replaced by any later job.
        return live > (manifest.job_id, manifest.attempt.get().into());
    };
    let order = Dated::from(manifest).order(&Dated::from(&live_manifest));
    if order.clocks_disagree {
        warn!("{}", DisagreeingClocks(manifest, &live_manifest));
    }
    order.ordering == Ordering::Less
}

/// Makes a snapshot the live one of its store.
pub(super) async fn make_live(tx: &mut Tx, manifest: &Manifest) -> Result<(), CatalogError> {
    sqlx::query(sql!(
        "UPDATE snapshots SET state = '{Superseded}', superseded_at = {now} \
         WHERE store_id = $1 AND state = '{Live}'",
        now = tx.dialect().now()
    ))
    .bind(manifest.store_id.to_string())
    .execute(&mut **tx)
    .await?;
    sqlx::query(sql!(
        "UPDATE snapshots SET state = '{Live}', superseded_at = NULL \
         WHERE job_id = $1 AND attempt = $2"
    ))
    .bind(manifest.job_id.to_string())
    .bind(i64::from(manifest.attempt.get()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

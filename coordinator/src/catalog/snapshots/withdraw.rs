//! Takes live snapshots back: each store gets the one before again, or none. What was withdrawn is never live again, and neither
//! is what a job in flight makes of it.
//!
//! Its objects stay until retention removes them, since signed URLs may point to them. The copies below `latest/` are made
//! right afterwards; which of them are not yet is in the table, so that a kill leaves none.

use seedbed_protocol::{RunId, StoreId, manifest::Manifest};
use serde::Serialize;
use sqlx::AssertSqlSafe;
use utoipa::ToSchema;

use super::{
    record::{SNAPSHOT_COLUMNS, snapshot_record},
    withdrawn::note_change,
};
use crate::catalog::{
    database::{Catalog, CatalogError, Lock, sql},
    runs::run_state,
    state::{
        PRESENT,
        SnapshotState::{Live, Superseded},
    },
};

/// Which live snapshots are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// That of a store.
    Store(StoreId),
    /// Those that a run made; none of its other snapshots takes their place.
    Run(RunId),
    /// All of them.
    All,
}

/// What was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Withdrawn {
    /// Stores whose live snapshot was taken back.
    pub stores: u64,
    /// Those of them that have the one before now. The others have none: their devices sync as without Seedbed.
    pub earlier: u64,
}

/// A withdrawn snapshot that the copies below `latest/` may still be of.
#[derive(Debug, Clone, PartialEq)]
pub struct StaleLatest {
    /// The withdrawn one.
    pub withdrawn: Manifest,
    /// The one that is live.
    pub live: Option<Manifest>,
}

impl Catalog {
    /// Takes live snapshots back, all of them in one transaction.
    ///
    /// # Errors
    /// [`CatalogError::UnknownRun`].
    pub async fn withdraw(&self, which: &Withdrawal) -> Result<Withdrawn, CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        if let Withdrawal::Run(run_id) = which {
            run_state(&mut transaction, *run_id).await?;
        }
        let now = transaction.now().await?.timestamp_millis();
        if let Withdrawal::Run(run_id) = which {
            sqlx::query("UPDATE runs SET withdrawn_at = $1 WHERE id = $2")
                .bind(now)
                .bind(run_id.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        let (of_live, id) = match which {
            Withdrawal::Store(store_id) => ("store_id = $2", store_id.to_string()),
            Withdrawal::Run(run_id) => ("run_id = $2", run_id.to_string()),
            Withdrawal::All => ("$2 = ''", String::new()),
        };
        // What else the same jobs, or the run, have made is no better.
        let same = match which {
            Withdrawal::Run(_) => "run_id = $2".to_owned(),
            _ => "job_id IN (SELECT job_id FROM snapshots WHERE withdrawn_at = $1)".to_owned(),
        };
        let taken_back = sqlx::query(sql!(
            "UPDATE snapshots SET state = '{Superseded}', superseded_at = $1, withdrawn_at = $1, \
                 latest_stale = 1 \
             WHERE state = '{Live}' AND {of_live}"
        ));
        let rest = sqlx::query(sql!(
            "UPDATE snapshots SET withdrawn_at = $1 \
             WHERE withdrawn_at IS NULL AND state IN ({PRESENT}) AND {same} AND ($2 = $2)"
        ));
        let mut stores = 0;
        for (statement, counts) in [(taken_back, true), (rest, false)] {
            let done = statement.bind(now).bind(id.clone());
            let done = done.execute(&mut *transaction).await?;
            if counts {
                stores = done.rows_affected();
            }
        }
        let earlier = sqlx::query(before_live())
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        note_change(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Withdrawn {
            stores,
            earlier: earlier.rows_affected(),
        })
    }

    /// Returns withdrawn snapshots that the copies below `latest/` may still be of, at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn stale_latest(&self, limit: i64) -> Result<Vec<StaleLatest>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots WHERE latest_stale = 1 LIMIT $1"
        ))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let mut stale = Vec::with_capacity(rows.len());
        for row in &rows {
            let withdrawn = snapshot_record(row)?.manifest;
            let live = self.live_snapshot(&withdrawn.store_id).await?;
            stale.push(StaleLatest {
                withdrawn,
                live: live.map(|live| live.manifest),
            });
        }
        Ok(stale)
    }

    /// Records that the copies below `latest/` are not of this snapshot any more.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn latest_is_right(&self, withdrawn: &Manifest) -> Result<(), CatalogError> {
        sqlx::query("UPDATE snapshots SET latest_stale = NULL WHERE job_id = $1 AND attempt = $2")
            .bind(withdrawn.job_id.to_string())
            .bind(i64::from(withdrawn.attempt.get()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Makes the newest snapshots live of those stores whose live ones were taken back at `$1`.
fn before_live() -> AssertSqlSafe<String> {
    sql!(
        "UPDATE snapshots SET state = '{Live}', superseded_at = NULL \
         WHERE (job_id, attempt) IN ( \
             SELECT job_id, attempt FROM ( \
                 SELECT job_id, attempt, ROW_NUMBER() OVER ( \
                     PARTITION BY store_id ORDER BY job_id DESC, attempt DESC) AS place \
                 FROM snapshots WHERE state = '{Superseded}' AND withdrawn_at IS NULL \
                     AND store_id IN ( \
                         SELECT store_id FROM snapshots \
                         WHERE withdrawn_at = $1 AND latest_stale = 1)) ranked \
             WHERE place = 1)"
    )
}

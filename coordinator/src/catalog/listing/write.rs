//! The transaction of a listing: stores are added one at a time and written in batches.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use seedbed_protocol::{JobId, RunId, message::Scope};
use sqlx::Row;

use super::{
    entry::{Entry, claims_of, store_ids},
    lookup::{forgotten, fresh, in_flight, last_jobs},
    options::{Covers, Download, InFlight, Listed, Sweep},
    turn::{Known, known, turn},
};
use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, ids, json, millis, parsed, sql, stored, time},
    jobs::claims,
    quarantine::{others_are_fine, quarantined},
    runs::{NewRun, RunKind, ScheduleClaim, add_run, end_claim},
    state::{JobState, SUCCEEDED, SnapshotState::Live, UNSUCCESSFUL},
};

/// Stores that are looked up and written together.
const BATCH_STORES: usize = 512;

/// A list with so many jobs changes what Postgres should know about the tables.
const ANALYZED_JOBS: u64 = 5_000;

/// A list of all stores with fewer than one in this many of those known before is refused as a mistake.
const REFUSED_BELOW_ONE_IN: u64 = 2;

/// A run that is being listed. Dropped before [`Listing::commit`], it leaves nothing.
pub struct Listing {
    transaction: Tx,
    sweep: Sweep,
    run_id: RunId,
    started_at: DateTime<Utc>,
    last_sweep: Option<DateTime<Utc>>,
    /// The scheduled time that the run is for.
    claim: Option<ScheduleClaim>,
    stores: u64,
    stores_before: u64,
    /// The quarantined stores, and when each is probed next.
    quarantined: HashMap<String, DateTime<Utc>>,
    listed: Listed,
    /// Stores that were added and not written yet.
    batch: Vec<Entry>,
}

impl Catalog {
    /// Starts to list a run. Waits for other listings to end.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn list_run(&self, sweep: Sweep) -> Result<Listing, CatalogError> {
        let mut transaction = self.locked(Lock::Listing).await?;
        let stores_before =
            sqlx::query_scalar("SELECT COUNT(*) FROM stores WHERE retired_at IS NULL")
                .fetch_one(&mut *transaction)
                .await
                .map(i64::unsigned_abs)?;
        let last_sweep: i64 = sqlx::query_scalar("SELECT taken FROM locks WHERE name = 'sweep'")
            .fetch_one(&mut *transaction)
            .await?;
        let changes_only = sweep.skip_unchanged && last_sweep > 0;
        let run = NewRun {
            kind: sweep.kind,
            is_full: sweep.download == Download::Everything,
            is_sweep: sweep.quarantine.is_some() && sweep.kind != RunKind::Demand,
            is_partial: changes_only,
        };
        let (run_id, started_at) = add_run(&mut transaction, run).await?;
        let quarantined = match sweep.quarantine {
            Some(quarantine) => quarantined(&mut transaction, quarantine).await?,
            None => HashMap::new(),
        };
        Ok(Listing {
            transaction,
            sweep,
            run_id,
            started_at,
            last_sweep: (last_sweep > 0).then(|| time(last_sweep)).transpose()?,
            claim: None,
            stores: 0,
            stores_before,
            quarantined,
            listed: Listed::default(),
            batch: Vec::with_capacity(BATCH_STORES),
        })
    }
}

impl Listing {
    /// Makes it the list of a scheduled run: the claim ends with the commit.
    #[must_use]
    pub fn of_schedule(self, claim: ScheduleClaim) -> Self {
        Self {
            claim: Some(claim),
            ..self
        }
    }

    /// Returns the time since which a store must have changed to be listed; `None` when the list has to be complete.
    pub fn changed_since(&self) -> Option<DateTime<Utc>> {
        self.last_sweep.filter(|_| self.sweep.skip_unchanged)
    }

    /// Adds a job for a store at `position`, its line or row in the list. Stores are written in batches: an error with
    /// one may come only when a later one is added, or from [`Self::commit`].
    ///
    /// # Errors
    /// [`CatalogError::DuplicateStore`] names both places, [`CatalogError::InFlight`] the other run.
    pub async fn add(&mut self, scope: Scope, position: u64) -> Result<(), CatalogError> {
        self.batch.push(Entry { scope, position });
        self.stores += 1;
        if self.batch.len() == BATCH_STORES {
            self.write_batch().await?;
        }
        Ok(())
    }

    /// Commits the run and its jobs. There is no run if no store needed a job.
    ///
    /// # Errors
    /// As [`Self::add`], [`CatalogError::FewerStores`] and [`CatalogError::ClaimLost`]; then nothing was listed.
    pub async fn commit(mut self) -> Result<Listed, CatalogError> {
        self.write_batch().await?;
        if self.changed_since().is_some() {
            self.add_unsuccessful().await?;
        } else if self.sweep.covers == Covers::All {
            self.retire_unseen().await?;
        }
        // Skipped stores may have changed since the last sweep: the next one has to look as far back as this one.
        let skipped = self.listed.in_flight + self.listed.fresh;
        if self.sweep.covers == Covers::All && skipped == 0 {
            sqlx::query("UPDATE locks SET taken = $1 WHERE name = 'sweep'")
                .bind(millis(self.started_at))
                .execute(&mut *self.transaction)
                .await?;
        }
        if self.listed.jobs > 0 {
            self.listed.run_id = Some(self.run_id);
        } else {
            self.listed.nothing_but_quarantined = self.nothing_but_quarantined().await?;
            sqlx::query("DELETE FROM runs WHERE id = $1")
                .bind(self.run_id.to_string())
                .execute(&mut *self.transaction)
                .await?;
        }
        if self.listed.jobs >= ANALYZED_JOBS && !self.transaction.dialect().is_sqlite() {
            // Until statistics come by themselves, plans would be made for a few rows.
            sqlx::raw_sql("ANALYZE stores; ANALYZE jobs")
                .execute(&mut *self.transaction)
                .await?;
        }
        if let Some(claim) = &self.claim {
            end_claim(&mut self.transaction, claim).await?;
        }
        self.transaction.commit().await?;
        Ok(self.listed)
    }

    /// Returns whether every store of a list without a job is quarantined. What a list of changes leaves out is fine.
    async fn nothing_but_quarantined(&mut self) -> Result<bool, CatalogError> {
        let Listed {
            quarantined,
            in_flight,
            fresh,
            ..
        } = self.listed;
        if quarantined == 0 || in_flight + fresh > 0 {
            return Ok(false);
        }
        if self.changed_since().is_none() {
            return Ok(true);
        }
        Ok(!others_are_fine(&mut self.transaction, self.run_id).await?)
    }

    async fn write_batch(&mut self) -> Result<(), CatalogError> {
        let stores = std::mem::take(&mut self.batch);
        if stores.is_empty() {
            return Ok(());
        }
        let stores = self.without_forgotten(stores).await?;
        if stores.is_empty() {
            return Ok(());
        }
        self.refuse_duplicates(&stores).await?;
        self.mark_seen(&stores).await?;
        let busy = in_flight(&mut self.transaction, &stores).await?;
        let fresh = match self.sweep.only_older_than {
            Some(age) => fresh(&mut self.transaction, &stores, self.started_at, age).await?,
            None => HashSet::new(),
        };
        let mut jobs = Vec::with_capacity(stores.len());
        for store in stores {
            let store_id = store.scope.store_id.as_str();
            if let Some(&run_id) = busy.get(store_id) {
                if self.sweep.in_flight == InFlight::Refuse {
                    return Err(CatalogError::InFlight {
                        store_id: store_id.to_owned(),
                        run_id: run_id.to_string(),
                    });
                }
                self.listed.in_flight += 1;
                self.listed.in_flight_runs.insert(run_id);
            } else if fresh.contains(store_id) {
                self.listed.fresh += 1;
            } else if self.is_skipped(store_id) {
                self.listed.quarantined += 1;
            } else {
                jobs.push(store);
            }
        }
        let last_jobs = last_jobs(&mut self.transaction, &jobs).await?;
        let known = known(&mut self.transaction, &jobs).await?;
        self.insert_jobs(&jobs, &last_jobs, &known).await
    }

    /// Leaves out stores that are forgotten. One that a person has chosen is refused.
    async fn without_forgotten(&mut self, stores: Vec<Entry>) -> Result<Vec<Entry>, CatalogError> {
        let forgotten = forgotten(&mut self.transaction, &stores).await?;
        if forgotten.is_empty() {
            return Ok(stores);
        }
        let is_chosen = self.sweep.quarantine.is_none()
            && matches!(self.sweep.kind, RunKind::Run | RunKind::Api);
        if is_chosen && let Some(store_id) = forgotten.iter().next().cloned() {
            return Err(CatalogError::Forgotten { store_id });
        }
        self.listed.forgotten += forgotten.len() as u64;
        self.stores -= forgotten.len() as u64;
        let is_listed = |store: &Entry| !forgotten.contains(store.scope.store_id.as_str());
        Ok(stores.into_iter().filter(is_listed).collect())
    }

    /// Returns whether a store is quarantined, and not to be probed yet.
    fn is_skipped(&self, store_id: &str) -> bool {
        let probe_at = self.quarantined.get(store_id);
        probe_at.is_some_and(|&probe_at| self.started_at < probe_at)
    }

    /// Refuses stores that this run has listed before.
    async fn refuse_duplicates(&mut self, stores: &[Entry]) -> Result<(), CatalogError> {
        let statement = sql!(
            "SELECT store_id, position FROM stores WHERE seen_in = $1 AND store_id {}",
            self.transaction.dialect().among(2)
        );
        let query = sqlx::query(statement)
            .bind(self.run_id.to_string())
            .bind(ids(store_ids(stores)));
        let mut seen: HashMap<String, i64> = HashMap::new();
        for row in query.fetch_all(&mut *self.transaction).await? {
            seen.insert(row.try_get("store_id")?, row.try_get("position")?);
        }
        for store in stores {
            let store_id = store.scope.store_id.to_string();
            if let Some(first) = seen.insert(store_id.clone(), stored(store.position)) {
                let second = store.position;
                return Err(CatalogError::DuplicateStore {
                    store_id,
                    first,
                    second,
                });
            }
        }
        Ok(())
    }

    async fn mark_seen(&mut self, stores: &[Entry]) -> Result<(), CatalogError> {
        let statement = sql!(
            "INSERT INTO stores (store_id, seen_in, position) \
             SELECT store_id, $2, position FROM ({}) listed WHERE true \
             ON CONFLICT (store_id) DO UPDATE SET seen_in = excluded.seen_in, \
                 position = excluded.position, retired_at = NULL",
            (self.transaction.dialect()).rows_in("store_id TEXT, position BIGINT")
        );
        let places = stores
            .iter()
            .map(|store| (store.scope.store_id.as_str(), stored(store.position)));
        sqlx::query(statement)
            .bind(json(places))
            .bind(self.run_id.to_string())
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    async fn insert_jobs(
        &mut self,
        stores: &[Entry],
        last_jobs: &HashMap<String, JobId>,
        known: &HashMap<String, Known>,
    ) -> Result<(), CatalogError> {
        if stores.is_empty() {
            return Ok(());
        }
        let columns = "id TEXT, store_id TEXT, turn BIGINT, position BIGINT, claims TEXT, is_probe BIGINT, \
             row_count BIGINT, byte_count BIGINT";
        let statement = sql!(
            "INSERT INTO jobs (id, run_id, store_id, turn, position, claims, state, attempt, listed_at, \
                 is_probe, row_count, byte_count) \
             SELECT id, $2, store_id, turn, position, claims, '{listed}', 0, CAST($3 AS BIGINT), \
                 is_probe, row_count, byte_count FROM ({}) listed",
            self.transaction.dialect().rows_in(columns),
            listed = JobState::Listed
        );
        let mut jobs = Vec::with_capacity(stores.len());
        for store in stores {
            let store_id = store.scope.store_id.as_str();
            let last_job = last_jobs.get(store_id);
            let is_probe = self.quarantined.contains_key(store_id);
            let known = known.get(store_id).copied().unwrap_or_default();
            let job_id = last_job.map_or_else(JobId::new, |&last_job| JobId::after(last_job));
            jobs.push((
                job_id.to_string(),
                store_id,
                turn(self.sweep.kind, known, is_probe),
                stored(store.position),
                claims_of(store)?,
                is_probe.then_some(1_i64),
                known.live.map(|live| live.rows),
                known.live.map(|live| live.bytes),
            ));
        }
        sqlx::query(statement)
            .bind(json(jobs))
            .bind(self.run_id.to_string())
            .bind(millis(self.started_at))
            .execute(&mut *self.transaction)
            .await?;
        self.listed.jobs += stores.len() as u64;
        Ok(())
    }

    /// Adds jobs for stores whose last job did not succeed, or that have no snapshot: they may have changed before the
    /// last sweep, and the list leaves them out.
    async fn add_unsuccessful(&mut self) -> Result<(), CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT stores.store_id, stores.position, job.claims FROM stores \
             JOIN jobs job ON job.id = (SELECT MAX(id) FROM jobs WHERE jobs.store_id = stores.store_id) \
             WHERE stores.retired_at IS NULL AND stores.seen_in <> $1 \
                 AND (job.state IN ({UNSUCCESSFUL}) \
                     OR job.state IN ({SUCCEEDED}) AND NOT EXISTS ( \
                         SELECT 1 FROM snapshots \
                         WHERE snapshots.store_id = stores.store_id AND snapshots.state = '{Live}')) \
             ORDER BY stores.store_id"
        ))
        .bind(self.run_id.to_string())
        .fetch_all(&mut *self.transaction)
        .await?;
        for row in &rows {
            let position: i64 = row.try_get("position")?;
            let scope = Scope {
                store_id: parsed(row, "store_id", "a store id")?,
                claims: claims(row)?,
            };
            if self.is_skipped(scope.store_id.as_str()) {
                self.listed.quarantined += 1;
                continue;
            }
            self.add(scope, position.unsigned_abs()).await?;
            self.listed.added += 1;
        }
        self.write_batch().await
    }

    /// Retires every store that is not in the list, unless the list looks like a mistake.
    async fn retire_unseen(&mut self) -> Result<(), CatalogError> {
        if self.stores * REFUSED_BELOW_ONE_IN < self.stores_before && !self.sweep.allow_fewer {
            return Err(CatalogError::FewerStores {
                found: self.stores,
                before: self.stores_before,
            });
        }
        let retired = sqlx::query(
            "UPDATE stores SET retired_at = $2 WHERE retired_at IS NULL AND seen_in <> $1",
        )
        .bind(self.run_id.to_string())
        .bind(millis(self.started_at))
        .execute(&mut *self.transaction)
        .await?;
        self.listed.retired = retired.rows_affected();
        Ok(())
    }
}

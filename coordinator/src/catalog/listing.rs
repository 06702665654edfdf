//! Writes the jobs of a new run: all of them, or none.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use seedbed_protocol::{JobId, RunId, message::Scope, trace::TraceContext};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row};
use tracing::Span;

use super::{
    Catalog, CatalogError, Tx, in_flight,
    jobs::claims,
    millis, parsed,
    sql::{Lock, list_of, rows_of},
    time,
};
use crate::source::record::Store;

/// Stores that are looked up and written together.
const BATCH: usize = 128;

/// A sweep that finds less than this part of the stores before stops.
const FEWER: u64 = 2;

/// What becomes of a store that still has a job in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// It gets no other job.
    Skip,
    /// The listing fails: nobody else should be working here.
    Refuse,
}

/// How a run is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListOptions {
    /// What starts the run: `local`, `run`.
    pub kind: &'static str,
    /// What becomes of stores with a job in flight.
    pub in_flight: InFlight,
    /// Stores whose live snapshot is younger than this get no job.
    pub only_older_than: Option<Duration>,
    /// Whether the list is all there is: stores that are not in it are retired.
    pub full_sweep: bool,
    /// Whether a full sweep may find far fewer stores than there were.
    pub allow_fewer: bool,
    /// Whether every row is downloaded, whatever there is to start from.
    pub is_full: bool,
    /// Whether the list may leave out stores that have not changed since the last sweep.
    pub only_changed: bool,
}

/// What a listing came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Listed {
    /// The run; `None` when no store needed a job.
    pub run_id: Option<RunId>,
    /// Its jobs.
    pub jobs: u64,
    /// Stores that were skipped because a job of theirs is in flight.
    pub in_flight: u64,
    /// The runs of those jobs.
    pub in_flight_runs: BTreeSet<RunId>,
    /// Stores that were skipped because their snapshot is young enough.
    pub fresh: u64,
    /// Stores that were there before and are no longer.
    pub retired: u64,
    /// Stores that the list left out and that need a job all the same: their last one did not succeed.
    pub added: u64,
}

impl Listed {
    /// The runs that have to end until every listed store is seeded, the new one first.
    pub fn runs(&self) -> Vec<RunId> {
        let others = self.in_flight_runs.iter().copied();
        self.run_id.into_iter().chain(others).collect()
    }
}

/// A run that is being listed. Nothing of it exists until [`Listing::commit`]; dropped, nothing remains.
pub struct Listing {
    transaction: Tx,
    options: ListOptions,
    run_id: RunId,
    started_at: DateTime<Utc>,
    last_sweep: Option<DateTime<Utc>>,
    stores: u64,
    stores_before: u64,
    listed: Listed,
    waiting: Vec<Store>,
}

impl Catalog {
    /// Starts to list a run. Waits for whoever lists another one.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn list_run(&self, options: ListOptions) -> Result<Listing, CatalogError> {
        let run_id = RunId::new();
        let mut transaction = self.locked(Lock::Listing).await?;
        let stores_before =
            sqlx::query_scalar("SELECT COUNT(*) FROM stores WHERE retired_at IS NULL")
                .fetch_one(&mut *transaction)
                .await
                .map(i64::unsigned_abs)?;
        let last_sweep: i64 = sqlx::query_scalar("SELECT taken FROM locks WHERE name = 'sweep'")
            .fetch_one(&mut *transaction)
            .await?;
        let started_at = Utc::now();
        sqlx::query(
            "INSERT INTO runs (id, kind, state, started_at, traceparent, is_full) \
             VALUES ($1, $2, 'running', $3, $4, $5)",
        )
        .bind(run_id.to_string())
        .bind(options.kind)
        .bind(millis(started_at))
        .bind(TraceContext::of(&Span::current()).traceparent)
        .bind(i64::from(options.is_full))
        .execute(&mut *transaction)
        .await?;
        Ok(Listing {
            transaction,
            options,
            run_id,
            started_at,
            last_sweep: (last_sweep > 0).then(|| time(last_sweep)).transpose()?,
            stores: 0,
            stores_before,
            listed: Listed::default(),
            waiting: Vec::with_capacity(BATCH),
        })
    }
}

impl Listing {
    /// Since when a list may leave out what has not changed; `None` when it has to be complete.
    pub fn changed_since(&self) -> Option<DateTime<Utc>> {
        self.last_sweep.filter(|_| self.options.only_changed)
    }

    /// Adds the job of one store. Stores are written many at a time: what is wrong with one may show only
    /// when a later one is added, or at the [`Self::commit`].
    ///
    /// # Errors
    /// [`CatalogError::DuplicateStore`] names both places, [`CatalogError::InFlight`] the other run.
    pub async fn add(&mut self, store: Store) -> Result<(), CatalogError> {
        self.waiting.push(store);
        self.stores += 1;
        if self.waiting.len() == BATCH {
            self.write_waiting().await?;
        }
        Ok(())
    }

    /// Makes the run and its jobs real. There is no run if no store needed a job.
    ///
    /// # Errors
    /// As [`Self::add`], and [`CatalogError::FewerStores`]; then nothing was listed.
    pub async fn commit(mut self) -> Result<Listed, CatalogError> {
        self.write_waiting().await?;
        if self.changed_since().is_some() {
            self.add_the_unsuccessful().await?;
        } else if self.options.full_sweep {
            self.retire_the_unseen().await?;
        }
        // What was skipped may have changed since the last sweep: the next one has to look as far back as this one.
        let skipped = self.listed.in_flight + self.listed.fresh;
        if self.options.full_sweep && skipped == 0 {
            sqlx::query("UPDATE locks SET taken = $1 WHERE name = 'sweep'")
                .bind(millis(self.started_at))
                .execute(&mut *self.transaction)
                .await?;
        }
        if self.listed.jobs > 0 {
            self.listed.run_id = Some(self.run_id);
        } else {
            sqlx::query("DELETE FROM runs WHERE id = $1")
                .bind(self.run_id.to_string())
                .execute(&mut *self.transaction)
                .await?;
        }
        self.transaction.commit().await?;
        Ok(self.listed)
    }

    async fn write_waiting(&mut self) -> Result<(), CatalogError> {
        let stores = std::mem::take(&mut self.waiting);
        if stores.is_empty() {
            return Ok(());
        }
        self.refuse_duplicates(&stores).await?;
        self.mark_seen(&stores).await?;
        let busy = self.in_flight(&stores).await?;
        let fresh = self.fresh(&stores).await?;
        let mut jobs = Vec::with_capacity(stores.len());
        for store in stores {
            let store_id = store.scope.store_id.as_str();
            if let Some(&run_id) = busy.get(store_id) {
                if self.options.in_flight == InFlight::Refuse {
                    return Err(CatalogError::InFlight {
                        store_id: store_id.to_owned(),
                        run_id: run_id.to_string(),
                    });
                }
                self.listed.in_flight += 1;
                self.listed.in_flight_runs.insert(run_id);
            } else if fresh.contains(store_id) {
                self.listed.fresh += 1;
            } else {
                jobs.push(store);
            }
        }
        let last_jobs = self.last_jobs(&jobs).await?;
        self.insert_jobs(&jobs, &last_jobs).await
    }

    /// Finds stores that this run has seen before.
    async fn refuse_duplicates(&mut self, stores: &[Store]) -> Result<(), CatalogError> {
        let statement = format!(
            "SELECT store_id, position FROM stores WHERE seen_in = $1 AND store_id IN ({})",
            list_of(2, stores.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(self.run_id.to_string());
        for store in stores {
            query = query.bind(store.scope.store_id.to_string());
        }
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

    async fn mark_seen(&mut self, stores: &[Store]) -> Result<(), CatalogError> {
        let statement = format!(
            "INSERT INTO stores (store_id, seen_in, position) VALUES {} \
             ON CONFLICT (store_id) DO UPDATE SET seen_in = excluded.seen_in, \
                 position = excluded.position, retired_at = NULL",
            rows_of(1, stores.len(), 3)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for store in stores {
            query = query
                .bind(store.scope.store_id.to_string())
                .bind(self.run_id.to_string())
                .bind(stored(store.position));
        }
        query.execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Those of `stores` that have a job in flight, and its run.
    async fn in_flight(
        &mut self,
        stores: &[Store],
    ) -> Result<HashMap<String, RunId>, CatalogError> {
        let statement = format!(
            "SELECT store_id, run_id FROM jobs WHERE {} AND store_id IN ({})",
            in_flight!(),
            list_of(1, stores.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for store in stores {
            query = query.bind(store.scope.store_id.to_string());
        }
        let rows = query.fetch_all(&mut *self.transaction).await?;
        rows.iter()
            .map(|row| Ok((row.try_get("store_id")?, parsed(row, "run_id", "a run id")?)))
            .collect()
    }

    /// Those of `stores` whose live snapshot is young enough.
    async fn fresh(&mut self, stores: &[Store]) -> Result<HashSet<String>, CatalogError> {
        let Some(age) = self.options.only_older_than else {
            return Ok(HashSet::new());
        };
        let statement = format!(
            "SELECT store_id FROM snapshots \
             WHERE state = 'live' AND verified_at > $1 AND store_id IN ({})",
            list_of(2, stores.len())
        );
        let oldest = Utc::now()
            .checked_sub_signed(chrono::TimeDelta::from_std(age).unwrap_or(chrono::TimeDelta::MAX));
        let mut query = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(millis(oldest.unwrap_or(DateTime::UNIX_EPOCH)));
        for store in stores {
            query = query.bind(store.scope.store_id.to_string());
        }
        let fresh: Vec<String> = query.fetch_all(&mut *self.transaction).await?;
        Ok(fresh.into_iter().collect())
    }

    /// The latest job of each of `stores` that had one.
    async fn last_jobs(
        &mut self,
        stores: &[Store],
    ) -> Result<HashMap<String, JobId>, CatalogError> {
        if stores.is_empty() {
            return Ok(HashMap::new());
        }
        let statement = format!(
            "SELECT store_id, MAX(id) AS id FROM jobs WHERE store_id IN ({}) GROUP BY store_id",
            list_of(1, stores.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for store in stores {
            query = query.bind(store.scope.store_id.to_string());
        }
        let rows = query.fetch_all(&mut *self.transaction).await?;
        rows.iter()
            .map(|row| Ok((row.try_get("store_id")?, parsed(row, "id", "a job id")?)))
            .collect()
    }

    async fn insert_jobs(
        &mut self,
        stores: &[Store],
        last_jobs: &HashMap<String, JobId>,
    ) -> Result<(), CatalogError> {
        if stores.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, listed_at) \
             VALUES {}",
            rows_of(1, stores.len(), 8)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for store in stores {
            let last_job = last_jobs.get(store.scope.store_id.as_str());
            let job_id = last_job.map_or_else(JobId::new, |&last_job| JobId::after(last_job));
            query = query
                .bind(job_id.to_string())
                .bind(self.run_id.to_string())
                .bind(store.scope.store_id.to_string())
                .bind(stored(store.position))
                .bind(claims_of(store)?)
                .bind("listed")
                .bind(0_i64)
                .bind(millis(Utc::now()));
        }
        query.execute(&mut *self.transaction).await?;
        self.listed.jobs += stores.len() as u64;
        Ok(())
    }

    /// Adds the stores whose last job did not succeed, or that have no snapshot: they may have changed before the last sweep.
    async fn add_the_unsuccessful(&mut self) -> Result<(), CatalogError> {
        let rows = sqlx::query(
            "SELECT stores.store_id, stores.position, job.claims FROM stores \
             JOIN jobs job ON job.id = (SELECT MAX(id) FROM jobs WHERE jobs.store_id = stores.store_id) \
             WHERE stores.retired_at IS NULL AND stores.seen_in <> $1 \
                 AND (job.state IN ('failed', 'cancelled', 'abandoned') \
                     OR job.state IN ('completed', 'unchanged') AND NOT EXISTS ( \
                         SELECT 1 FROM snapshots \
                         WHERE snapshots.store_id = stores.store_id AND snapshots.state = 'live')) \
             ORDER BY stores.store_id",
        )
        .bind(self.run_id.to_string())
        .fetch_all(&mut *self.transaction)
        .await?;
        for row in &rows {
            let position: i64 = row.try_get("position")?;
            self.add(Store {
                scope: Scope {
                    store_id: parsed(row, "store_id", "a store id")?,
                    claims: claims(row)?,
                },
                position: position.unsigned_abs(),
            })
            .await?;
            self.listed.added += 1;
        }
        self.write_waiting().await
    }

    /// Retires every store that this sweep has not seen, unless that looks like a mistake in the list.
    async fn retire_the_unseen(&mut self) -> Result<(), CatalogError> {
        if self.stores * FEWER < self.stores_before && !self.options.allow_fewer {
            return Err(CatalogError::FewerStores {
                found: self.stores,
                before: self.stores_before,
            });
        }
        let retired = sqlx::query(
            "UPDATE stores SET retired_at = $2 WHERE retired_at IS NULL AND seen_in <> $1",
        )
        .bind(self.run_id.to_string())
        .bind(millis(Utc::now()))
        .execute(&mut *self.transaction)
        .await?;
        self.listed.retired = retired.rows_affected();
        Ok(())
    }
}

/// Neither database has unsigned integers; no list comes near the limit.
fn stored(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn claims_of(store: &Store) -> Result<String, CatalogError> {
    serde_json::to_string(&store.scope.claims).map_err(|e| CatalogError::Unstorable {
        what: "claims of a store",
        reason: e.to_string(),
    })
}

//! The table `freshness`: how many stores had a snapshot that was young enough, once an hour for a month; and what that says of the
//! promise.
//!
//! Any server records, the first one in an hour does: the row is the claim. A kill leaves the hour recorded or not, and then the
//! next look records it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Row, any::AnyRow};

use crate::catalog::{
    database::{Catalog, CatalogError, Lock, Tx, count, millis, sql, stored, time},
    state::SnapshotState::Live,
};

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// Hours of a day.
const DAY_HOURS: i64 = 24;

/// Over how many days the promise is kept or missed.
const PROMISED_DAYS: i64 = 30;

/// What is promised of the snapshots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FreshnessPromise {
    /// How old the snapshot of a store may be.
    pub age: Duration,
    /// The share of stores, below 1, for which that has to be true.
    pub objective: f64,
}

/// Stores at one moment, or at several together, and how many of them had a snapshot that was young enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FreshCount {
    /// Stores of the source.
    pub stores: u64,
    /// Those whose snapshot was young enough.
    pub fresh: u64,
}

/// How fresh the stores were in the last 30 days.
#[derive(Debug, Clone, PartialEq)]
pub struct FreshnessHistory {
    /// Of each day (UTC) that was looked at, once an hour, the oldest first: what its hours add up to.
    pub days: Vec<(DateTime<Utc>, FreshCount)>,
    /// What all of them add up to.
    pub all: FreshCount,
}

impl FreshCount {
    /// Returns the share of stores with a snapshot that was young enough; 1 of none.
    pub fn share(self) -> f64 {
        match self.stores {
            0 => 1.0,
            stores => self.fresh as f64 / stores as f64,
        }
    }

    /// Returns whether the promise was kept.
    pub fn keeps(self, promise: FreshnessPromise) -> bool {
        self.share() >= promise.objective
    }

    /// Returns how much of the error budget is left, as a share of it: 1 if every store was always fresh, 0 if as many were not as
    /// the promise allows, less if more were not.
    pub fn budget_left(self, promise: FreshnessPromise) -> f64 {
        let allowed = 1.0 - promise.objective;
        1.0 - (1.0 - self.share()) / allowed
    }
}

impl Catalog {
    /// Counts the stores, and those whose live snapshot is younger than `age`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn fresh_now(&self, age: Duration) -> Result<FreshCount, CatalogError> {
        let now = self.now().await?;
        let counting = sqlx::query(sql!("SELECT {}", counting()));
        let row = counting.bind(oldest(now, age)).fetch_one(&self.readers);
        fresh_count(&row.await?)
    }

    /// Records how fresh the stores are, if nobody has done so in this hour. Returns whether this call did. What is older than the
    /// promise looks back is removed.
    ///
    /// # Errors
    /// [`CatalogError::Database`]; then the next call records it.
    pub async fn record_freshness(&self, age: Duration) -> Result<bool, CatalogError> {
        let hour = millis(self.now().await?) / HOUR;
        let known = sqlx::query("SELECT 1 FROM freshness WHERE hour = $1")
            .bind(hour)
            .fetch_optional(&self.readers);
        // Mostly it is, and no lock is taken.
        if known.await?.is_some() {
            return Ok(false);
        }
        let mut tx = self.locked(Lock::Writer).await?;
        let now = tx.now().await?;
        let hour = millis(now) / HOUR;
        let count = count_fresh(&mut tx, now, age).await?;
        // Without stores there is nothing that could be fresh.
        if count.stores == 0 {
            return Ok(false);
        }
        let added = sqlx::query(
            "INSERT INTO freshness (hour, stores, fresh) VALUES ($1, $2, $3) ON CONFLICT (hour) DO NOTHING",
        )
        .bind(hour)
        .bind(stored(count.stores))
        .bind(stored(count.fresh))
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM freshness WHERE hour < $1")
            .bind(first_hour(now))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(added.rows_affected() > 0)
    }

    /// Returns how fresh the stores were in the last 30 days.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn freshness_history(&self) -> Result<FreshnessHistory, CatalogError> {
        let now = self.now().await?;
        let rows = sqlx::query(sql!(
            "SELECT hour / {DAY_HOURS} AS day, CAST(SUM(stores) AS BIGINT) AS stores, CAST(SUM(fresh) AS BIGINT) AS fresh \
             FROM freshness WHERE hour >= $1 GROUP BY hour / {DAY_HOURS} ORDER BY day"
        ))
        .bind(first_hour(now))
        .fetch_all(&self.readers)
        .await?;
        let mut all = FreshCount::default();
        let mut days = Vec::with_capacity(rows.len());
        for row in &rows {
            let day: i64 = row.try_get("day")?;
            let of_day = fresh_count(row)?;
            all.stores += of_day.stores;
            all.fresh += of_day.fresh;
            days.push((time(day * DAY_HOURS * HOUR)?, of_day));
        }
        Ok(FreshnessHistory { days, all })
    }
}

/// Counts the stores at `now`, and those whose live snapshot is younger than `age`.
pub(in crate::catalog) async fn count_fresh(
    tx: &mut Tx,
    now: DateTime<Utc>,
    age: Duration,
) -> Result<FreshCount, CatalogError> {
    let counting = sqlx::query(sql!("SELECT {}", counting()));
    let row = counting.bind(oldest(now, age)).fetch_one(&mut **tx);
    fresh_count(&row.await?)
}

/// What a statement selects to count stores and fresh ones; its parameter is the time after which a snapshot has to be verified.
/// Before a first run has ended nothing is promised, so no store counts.
fn counting() -> String {
    format!(
        "COUNT(*) AS stores, COUNT(CASE WHEN live.verified_at > $1 THEN 1 END) AS fresh FROM stores \
         LEFT JOIN snapshots live ON live.store_id = stores.store_id AND live.state = '{Live}' \
         WHERE stores.retired_at IS NULL AND EXISTS (SELECT 1 FROM runs WHERE finished_at IS NOT NULL)"
    )
}

fn oldest(now: DateTime<Utc>, age: Duration) -> i64 {
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    millis(now.checked_sub_signed(age).unwrap_or(DateTime::UNIX_EPOCH))
}

/// The first hour of the first of the days that count: the last one is today.
fn first_hour(now: DateTime<Utc>) -> i64 {
    let today = millis(now) / HOUR / DAY_HOURS;
    (today - PROMISED_DAYS + 1) * DAY_HOURS
}

fn fresh_count(row: &AnyRow) -> Result<FreshCount, CatalogError> {
    Ok(FreshCount {
        stores: count(row, "stores")?,
        fresh: count(row, "fresh")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_what_the_promise_allows() {
        let promise = FreshnessPromise {
            age: Duration::from_secs(1),
            objective: 0.9,
        };
        let left = |fresh| {
            FreshCount {
                stores: 1_000,
                fresh,
            }
            .budget_left(promise)
        };
        let is = |left: f64, expected: f64| assert!((left - expected).abs() < 1e-9, "{left}");
        is(left(1_000), 1.0);
        is(left(950), 0.5);
        is(left(900), 0.0);
        is(left(800), -1.0);
        is(FreshCount::default().budget_left(promise), 1.0);
        let kept = |fresh| FreshCount { stores: 10, fresh }.keeps(promise);
        assert_eq!((kept(9), kept(8)), (true, false));
    }
}

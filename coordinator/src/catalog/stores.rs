//! The table `stores` as it is shown: pages, the history of one store, and how fresh their snapshots are.
//!
//! A listing writes this table (`listing.rs`).

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{StoreId, settings::quoted};
use serde::{Deserialize, Serialize};
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;

use super::{
    database::{
        AnyQuery, Catalog, CatalogError, count, cut_page, millis, optional_count, parsed, pattern,
        sql, time,
    },
    jobs::{JOB_COLUMNS, JobRecord, job},
    quarantine::{FAILING_COLUMNS, Failing, failing},
    snapshots::{SNAPSHOT_COLUMNS, SnapshotRecord, snapshot_record},
    state::{JobState, SnapshotState::Live},
};

/// Snapshots and jobs in the history of a store, at most.
const HISTORY_ENTRIES: i64 = 50;

/// How many stores have a live snapshot of which age: how long ago PowerSync was known to hold what it holds. Retired
/// stores do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Freshness {
    /// Younger than an hour.
    pub hour: u64,
    /// An hour or older, and younger than six.
    pub six_hours: u64,
    /// Six hours or older, and younger than a day.
    pub day: u64,
    /// A day or older.
    pub older: u64,
    /// Stores without a snapshot.
    pub never: u64,
}

impl Freshness {
    /// Returns the number of all stores.
    pub fn stores(&self) -> u64 {
        self.hour + self.six_hours + self.day + self.older + self.never
    }
}

/// The age of a store's snapshot: younger than an hour, than six hours, than a day; older; or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Age {
    /// [`Freshness::hour`]
    Hour,
    /// [`Freshness::six_hours`]
    SixHours,
    /// [`Freshness::day`]
    Day,
    /// [`Freshness::older`]
    Older,
    /// [`Freshness::never`]
    Never,
}

impl Age {
    /// Returns the condition for this group at `now`, on `live.verified_at` of a live snapshot that may be missing.
    fn condition(self, now: DateTime<Utc>) -> String {
        let since = |hours| millis(now - TimeDelta::hours(hours));
        let (hour, six_hours, day) = (since(1), since(6), since(24));
        match self {
            Self::Hour => format!("live.verified_at > {hour}"),
            Self::SixHours => {
                format!("live.verified_at <= {hour} AND live.verified_at > {six_hours}")
            }
            Self::Day => format!("live.verified_at <= {six_hours} AND live.verified_at > {day}"),
            Self::Older => format!("live.verified_at <= {day}"),
            Self::Never => "live.verified_at IS NULL".to_owned(),
        }
    }
}

/// One store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoreRecord {
    /// Its id.
    pub store_id: StoreId,
    /// Whether it is retired: no longer in the source.
    pub retired: bool,
    /// When PowerSync was last known to hold what its live snapshot holds.
    pub snapshot_at: Option<DateTime<Utc>>,
    /// The rows of that snapshot.
    pub rows: Option<u64>,
    /// The bytes of that snapshot.
    pub bytes: Option<u64>,
    /// Its newest job.
    pub job: Option<JobRecord>,
    /// How often in a row it failed alone.
    pub failing: Option<Failing>,
}

/// A store with its history, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoreHistory {
    /// The store.
    pub store: StoreRecord,
    /// Its newest snapshots.
    pub snapshots: Vec<SnapshotRecord>,
    /// Its newest jobs.
    pub jobs: Vec<JobRecord>,
}

/// Selects stores.
#[derive(Debug, Clone, Default)]
pub struct StoreSearch {
    /// Only those whose id contains this, in upper or lower case.
    pub search: Option<String>,
    /// Only those whose live snapshot has this age, without retired ones.
    pub age: Option<Age>,
    /// Only those whose newest job is in this state.
    pub state: Option<JobState>,
    /// Only those that failed alone in at least so many sweeps in a row.
    pub failing_for: Option<u32>,
}

impl Catalog {
    /// Counts the stores by the age of their live snapshots at `now`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn freshness(&self, now: DateTime<Utc>) -> Result<Freshness, CatalogError> {
        let in_group = |age: Age, name: &str| {
            let condition = age.condition(now);
            format!("COUNT(CASE WHEN {condition} THEN 1 END) AS {name}")
        };
        let statement = sql!(
            "SELECT {}, {}, {}, {}, {} FROM stores \
             LEFT JOIN snapshots live ON live.store_id = stores.store_id AND live.state = '{Live}' \
             WHERE stores.retired_at IS NULL",
            in_group(Age::Hour, "hour"),
            in_group(Age::SixHours, "six_hours"),
            in_group(Age::Day, "day"),
            in_group(Age::Older, "older"),
            in_group(Age::Never, "never")
        );
        let row = sqlx::query(statement).fetch_one(&self.readers).await?;
        Ok(Freshness {
            hour: count(&row, "hour")?,
            six_hours: count(&row, "six_hours")?,
            day: count(&row, "day")?,
            older: count(&row, "older")?,
            never: count(&row, "never")?,
        })
    }

    /// Returns a page of stores in the order of their ids, at most `limit` after `after`, and the cursor of the next page.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn stores_page(
        &self,
        search: &StoreSearch,
        after: Option<&StoreId>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<(Vec<StoreRecord>, Option<StoreId>), CatalogError> {
        let statement = sql!(
            "SELECT stores.store_id, stores.retired_at, live.verified_at, live.row_count, live.byte_count, \
                 {JOB_COLUMNS}, {FAILING_COLUMNS} \
             {} AND ($3 = '' OR stores.store_id > $3) ORDER BY stores.store_id LIMIT $4",
            found_stores(search, now)
        );
        let rows = bind_search(sqlx::query(statement), search)
            .bind(after.map(ToString::to_string).unwrap_or_default())
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.readers)
            .await?;
        let mut stores: Vec<StoreRecord> = rows.iter().map(store).collect::<Result<_, _>>()?;
        let next = cut_page(&mut stores, limit, |last| last.store_id.clone());
        Ok((stores, next))
    }

    /// Counts the stores that `search` selects.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn count_stores(
        &self,
        search: &StoreSearch,
        now: DateTime<Utc>,
    ) -> Result<u64, CatalogError> {
        let statement = sql!("SELECT COUNT(*) AS n {}", found_stores(search, now));
        let row = bind_search(sqlx::query(statement), search)
            .fetch_one(&self.readers)
            .await?;
        count(&row, "n")
    }

    /// Checks that a store was ever listed.
    ///
    /// # Errors
    /// [`CatalogError::UnknownStore`] names some others.
    pub async fn check_store(&self, store_id: &StoreId) -> Result<(), CatalogError> {
        let found = sqlx::query("SELECT 1 FROM stores WHERE store_id = $1")
            .bind(store_id.to_string())
            .fetch_optional(&self.readers);
        if found.await?.is_some() {
            return Ok(());
        }
        let others = sqlx::query_scalar("SELECT store_id FROM stores ORDER BY store_id LIMIT 4");
        let others: Vec<String> = others.fetch_all(&self.readers).await?;
        let more = if others.len() > 3 { ", …" } else { "" };
        Err(CatalogError::UnknownStore {
            store_id: store_id.to_string(),
            others: format!("{}{more}", quoted(others.iter().take(3))),
        })
    }

    /// Returns a store with its history; `None` if it was never listed.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn store_history(
        &self,
        store_id: &StoreId,
    ) -> Result<Option<StoreHistory>, CatalogError> {
        let statement = sql!(
            "SELECT stores.store_id, stores.retired_at, live.verified_at, live.row_count, live.byte_count, \
                 {JOB_COLUMNS}, {FAILING_COLUMNS} {} WHERE stores.store_id = $1",
            from_stores()
        );
        let found = sqlx::query(statement)
            .bind(store_id.to_string())
            .fetch_optional(&self.readers)
            .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let snapshots = sqlx::query(sql!(
            "SELECT {SNAPSHOT_COLUMNS} FROM snapshots WHERE store_id = $1 \
             ORDER BY created_at DESC LIMIT $2"
        ));
        let snapshots = snapshots.bind(store_id.to_string()).bind(HISTORY_ENTRIES);
        let snapshots = snapshots.fetch_all(&self.readers).await?;
        let jobs = sql!(
            "SELECT {JOB_COLUMNS} FROM jobs job WHERE job.store_id = $1 ORDER BY job.id DESC LIMIT $2"
        );
        let jobs = sqlx::query(jobs)
            .bind(store_id.to_string())
            .bind(HISTORY_ENTRIES)
            .fetch_all(&self.readers)
            .await?;
        Ok(Some(StoreHistory {
            store: store(&found)?,
            snapshots: snapshots
                .iter()
                .map(snapshot_record)
                .collect::<Result<_, _>>()?,
            jobs: jobs.iter().map(job).collect::<Result<_, _>>()?,
        }))
    }
}

/// Joins each store with its live snapshot and its newest job.
fn from_stores() -> String {
    format!(
        "FROM stores \
         LEFT JOIN snapshots live ON live.store_id = stores.store_id AND live.state = '{Live}' \
         LEFT JOIN jobs job ON job.id = (SELECT MAX(id) FROM jobs WHERE jobs.store_id = stores.store_id) \
         LEFT JOIN failing ON failing.store_id = stores.store_id"
    )
}

/// [`from_stores`] with the conditions of a search. [`bind_search`] binds their parameters.
fn found_stores(search: &StoreSearch, now: DateTime<Utc>) -> String {
    let age = search.age;
    let of_age =
        age.map(|age| format!(" AND stores.retired_at IS NULL AND {}", age.condition(now)));
    let failing = search
        .failing_for
        .map(|sweeps| format!(" AND stores.retired_at IS NULL AND failing.sweeps >= {sweeps}"));
    format!(
        "{} WHERE LOWER(stores.store_id) LIKE LOWER($1) ESCAPE '\\' AND ($2 = '' OR job.state = $2){}{}",
        from_stores(),
        of_age.unwrap_or_default(),
        failing.unwrap_or_default()
    )
}

fn bind_search<'q>(query: AnyQuery<'q>, search: &StoreSearch) -> AnyQuery<'q> {
    query
        .bind(pattern(search.search.as_deref()))
        .bind(search.state.map_or("", JobState::name))
}

fn store(row: &AnyRow) -> Result<StoreRecord, CatalogError> {
    let snapshot_at: Option<i64> = row.try_get("verified_at")?;
    let retired_at: Option<i64> = row.try_get("retired_at")?;
    let has_job: Option<String> = row.try_get("job_id")?;
    let is_failing: Option<String> = row.try_get("reason")?;
    Ok(StoreRecord {
        store_id: parsed(row, "store_id", "a store id")?,
        retired: retired_at.is_some(),
        snapshot_at: snapshot_at.map(time).transpose()?,
        rows: optional_count(row, "row_count")?,
        bytes: optional_count(row, "byte_count")?,
        job: has_job.map(|_| job(row)).transpose()?,
        failing: is_failing.map(|_| failing(row)).transpose()?,
    })
}

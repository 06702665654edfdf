//! How old the snapshots of all stores are: how long ago the service was known to hold what they hold.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row};

use super::{Catalog, CatalogError, in_flight, millis, runs::count};

/// The quantiles of snapshots' ages that are measured, and as percentages.
const QUANTILES: [(&str, u64); 4] = [("0.5", 50), ("0.9", 90), ("0.99", 99), ("1", 100)];

/// How many stores have a live snapshot of which age. Stores that are no longer in the source do not count.
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
    /// All stores.
    pub fn stores(&self) -> u64 {
        self.hour + self.six_hours + self.day + self.older + self.never
    }
}

/// One of the groups of [`Freshness`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// The condition on `live.verified_at`, of a live snapshot that may be missing, that holds for this group `now`.
    pub(super) fn condition(self, now: DateTime<Utc>) -> String {
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

impl Catalog {
    /// How old the snapshots of all stores are at `now`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn freshness(&self, now: DateTime<Utc>) -> Result<Freshness, CatalogError> {
        let in_group = |age: Age, name: &str| {
            let condition = age.condition(now);
            format!("COUNT(CASE WHEN {condition} THEN 1 END) AS {name}")
        };
        let statement = format!(
            "SELECT {}, {}, {}, {}, {} FROM stores \
             LEFT JOIN snapshots live ON live.store_id = stores.store_id AND live.state = 'live' \
             WHERE stores.retired_at IS NULL",
            in_group(Age::Hour, "hour"),
            in_group(Age::SixHours, "six_hours"),
            in_group(Age::Day, "day"),
            in_group(Age::Older, "older"),
            in_group(Age::Never, "never")
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .fetch_one(&self.readers)
            .await?;
        Ok(Freshness {
            hour: count(&row, "hour")?,
            six_hours: count(&row, "six_hours")?,
            day: count(&row, "day")?,
            older: count(&row, "older")?,
            never: count(&row, "never")?,
        })
    }

    /// How old the live snapshots are at `now`: the quantiles 0.5, 0.9, 0.99 and 1, by name. Nothing when
    /// there is none.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn snapshot_ages(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<(&'static str, Duration)>, CatalogError> {
        // Nearest rank, the youngest first.
        let places = QUANTILES.map(|(_, percent)| format!("(total * {percent} + 99) / 100"));
        let statement = format!(
            "SELECT verified_at, place, total FROM (\
                 SELECT live.verified_at, ROW_NUMBER() OVER (ORDER BY live.verified_at DESC) AS place, \
                     COUNT(*) OVER () AS total \
                 FROM snapshots live JOIN stores ON stores.store_id = live.store_id \
                 WHERE live.state = 'live' AND stores.retired_at IS NULL\
             ) ranked WHERE place IN ({})",
            places.join(", ")
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .fetch_all(&self.readers)
            .await?;
        let mut ages = Vec::with_capacity(QUANTILES.len());
        for (name, percent) in QUANTILES {
            for row in &rows {
                let rank = (count(row, "total")? * percent).div_ceil(100);
                if count(row, "place")? == rank {
                    ages.push((name, since(row.try_get("verified_at")?, now)));
                }
            }
        }
        Ok(ages)
    }

    /// How long the oldest job that no worker has started waits at `now`; zero when none does.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn oldest_waiting(&self, now: DateTime<Utc>) -> Result<Duration, CatalogError> {
        let statement = concat!(
            "SELECT MIN(listed_at) FROM jobs WHERE ",
            in_flight!(),
            " AND state <> 'running'"
        );
        let oldest: Option<i64> = sqlx::query_scalar(statement)
            .fetch_one(&self.readers)
            .await?;
        Ok(oldest.map_or(Duration::ZERO, |oldest| since(oldest, now)))
    }
}

/// From a time in the catalog to `now`.
fn since(time: i64, now: DateTime<Utc>) -> Duration {
    let elapsed = u64::try_from(millis(now) - time).unwrap_or_default();
    Duration::from_millis(elapsed)
}

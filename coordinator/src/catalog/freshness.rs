//! How old the snapshots of all stores are.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::{Catalog, CatalogError, millis, read::count};

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
    /// The condition on `live.created_at`, of a live snapshot that may be missing, that holds for this group `now`.
    pub(super) fn condition(self, now: DateTime<Utc>) -> String {
        let since = |hours| millis(now - TimeDelta::hours(hours));
        let (hour, six_hours, day) = (since(1), since(6), since(24));
        match self {
            Self::Hour => format!("live.created_at > {hour}"),
            Self::SixHours => {
                format!("live.created_at <= {hour} AND live.created_at > {six_hours}")
            }
            Self::Day => format!("live.created_at <= {six_hours} AND live.created_at > {day}"),
            Self::Older => format!("live.created_at <= {day}"),
            Self::Never => "live.created_at IS NULL".to_owned(),
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
}

//! When a store is quarantined, when it is probed, and who is quarantined now.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::StoreId;
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;

use crate::catalog::database::{Catalog, CatalogError, count, parsed, sql, time};

/// The columns of a [`Failing`], of the table `failing`.
pub(in crate::catalog) const FAILING_COLUMNS: &str = "failing.reason, failing.sweeps, failing.since, failing.failed_at, failing.held, failing.held_by, failing.held_at";

/// When a store is quarantined, and how often it is probed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// After so many failed sweeps in a row; 0 for never.
    pub after: u32,
    /// From the last failure to the first probe. Doubled after each failed one.
    pub pause: Duration,
    /// The longest of these pauses.
    pub max_pause: Duration,
}

/// How often in a row, and why, a store failed alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// What failed, without what differs from store to store.
    pub reason: String,
    /// Sweeps in a row.
    pub sweeps: u64,
    /// When the first of them failed it.
    pub since: DateTime<Utc>,
    /// When the last of them did.
    pub failed_at: DateTime<Utc>,
    /// The person who has quarantined it, if one has.
    pub held: Option<HeldBy>,
}

/// Who has quarantined a store that fails, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HeldBy {
    /// As the audit log has it; null if an older version has not recorded it.
    pub by: Option<String>,
    /// Null if an older version has not recorded it.
    pub at: Option<DateTime<Utc>>,
}

/// A quarantined store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantinedStore {
    /// The store.
    pub store_id: StoreId,
    /// Why, and for how long.
    #[serde(flatten)]
    pub failing: Failing,
    /// From when on a sweep probes it.
    pub probe_at: DateTime<Utc>,
}

impl Quarantine {
    /// Returns after how many failed sweeps a store is quarantined; more than there will ever be for never.
    pub fn sweeps(&self) -> u32 {
        match self.after {
            0 => u32::MAX,
            after => after,
        }
    }

    /// Returns when a store that has failed so is probed; `None` if it is not quarantined.
    pub fn probe_at(&self, failing: &Failing) -> Option<DateTime<Utc>> {
        let after = u64::from(self.sweeps());
        if failing.sweeps < after {
            return None;
        }
        // More doublings than that are longer than any pause.
        let doublings = (failing.sweeps - after).min(30) as u32;
        let pause = self
            .pause
            .saturating_mul(1 << doublings)
            .min(self.max_pause);
        let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
        let probe_at = failing.failed_at.checked_add_signed(pause);
        Some(probe_at.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }
}

/// Reads the [`FAILING_COLUMNS`].
pub(in crate::catalog) fn failing(row: &AnyRow) -> Result<Failing, CatalogError> {
    let held_at: Option<i64> = row.try_get("held_at")?;
    Ok(Failing {
        reason: row.try_get("reason")?,
        sweeps: count(row, "sweeps")?,
        since: time(row.try_get("since")?)?,
        failed_at: time(row.try_get("failed_at")?)?,
        held: match row.try_get::<Option<i64>, _>("held")? {
            Some(_) => Some(HeldBy {
                by: row.try_get("held_by")?,
                at: held_at.map(time).transpose()?,
            }),
            None => None,
        },
    })
}

impl Catalog {
    /// Returns the quarantined stores of the source, those that have failed the longest first; at most `limit`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn quarantined_stores(
        &self,
        quarantine: Quarantine,
        limit: i64,
    ) -> Result<Vec<QuarantinedStore>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT failing.store_id, {FAILING_COLUMNS} FROM failing \
             JOIN stores ON stores.store_id = failing.store_id AND stores.retired_at IS NULL \
             WHERE failing.sweeps >= $1 ORDER BY failing.since, failing.store_id LIMIT $2"
        ))
        .bind(i64::from(quarantine.sweeps()))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let mut stores = Vec::with_capacity(rows.len());
        for row in &rows {
            let failing = failing(row)?;
            if let Some(probe_at) = quarantine.probe_at(&failing) {
                stores.push(QuarantinedStore {
                    store_id: parsed(row, "store_id", "a store id")?,
                    failing,
                    probe_at,
                });
            }
        }
        Ok(stores)
    }

    /// Counts the quarantined stores of the source.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn count_quarantined(&self, quarantine: Quarantine) -> Result<u64, CatalogError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS n FROM failing \
             JOIN stores ON stores.store_id = failing.store_id AND stores.retired_at IS NULL \
             WHERE failing.sweeps >= $1",
        )
        .bind(i64::from(quarantine.sweeps()))
        .fetch_one(&self.readers)
        .await?;
        count(&row, "n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_probes_double_up_to_the_longest() {
        let quarantine = Quarantine {
            after: 3,
            pause: Duration::from_secs(60),
            max_pause: Duration::from_secs(200),
        };
        let pause = |sweeps| {
            let failing = Failing {
                reason: "sync".to_owned(),
                sweeps,
                since: DateTime::UNIX_EPOCH,
                failed_at: DateTime::UNIX_EPOCH,
                held: None,
            };
            let probe_at = quarantine.probe_at(&failing);
            probe_at.map(|probe_at| probe_at.timestamp())
        };
        let pauses = [2, 3, 4, 5, 6, 1_000_000].map(pause);
        let expected = [None, Some(60), Some(120), Some(200), Some(200), Some(200)];
        assert_eq!(pauses, expected);
    }
}

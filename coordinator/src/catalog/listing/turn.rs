//! Decides which jobs of a run go out first, so that it ends early: the longest must not be the last to begin.

use std::collections::HashMap;

use sqlx::Row;

use super::entry::{Entry, store_ids};
use crate::catalog::{
    database::{CatalogError, Tx, ids, sql},
    jobs::CLASS_SHIFT,
    runs::RunKind,
    state::SnapshotState::Live,
};

/// Rows that a worker seeds in a millisecond at most. Only jobs of one run are compared.
const ROWS_A_MILLI: i64 = 50;

/// What the catalog knows of a store that is being listed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// When a client last asked for it.
    asked_at: Option<i64>,
    /// Its live snapshot.
    pub(super) live: Option<LiveSize>,
}

/// A live snapshot, by what tells how long the next one will take.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveSize {
    pub(super) rows: i64,
    pub(super) bytes: i64,
    /// How long it took, in milliseconds.
    took: Option<i64>,
    verified_at: i64,
}

/// Stores by urgency. Within each, the store that is expected to take the longest comes first.
#[derive(Debug, Clone, Copy)]
enum Class {
    /// A client has asked for it since its snapshot was last compared with the service, see
    /// [`PendingJob::is_asked_for`](crate::catalog::PendingJob::is_asked_for).
    Asked,
    /// It has no snapshot.
    New,
    /// It has one.
    Refresh,
    /// It is quarantined, and will probably fail again.
    Probe,
}

/// Returns what is known of each of `stores` that was listed before.
pub(super) async fn known(
    tx: &mut Tx,
    stores: &[Entry],
) -> Result<HashMap<String, Known>, CatalogError> {
    if stores.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = sql!(
        "SELECT stores.store_id, stores.asked_at, live.row_count, live.byte_count, live.took, \
             live.verified_at \
         FROM stores LEFT JOIN snapshots live \
             ON live.store_id = stores.store_id AND live.state = '{Live}' \
         WHERE stores.store_id {}",
        tx.dialect().among(1)
    );
    let query = sqlx::query(statement).bind(ids(store_ids(stores)));
    let rows = query.fetch_all(&mut **tx).await?;
    rows.iter()
        .map(|row| {
            let rows: Option<i64> = row.try_get("row_count")?;
            let live = rows.map(|rows| {
                Ok::<_, CatalogError>(LiveSize {
                    rows,
                    bytes: row.try_get("byte_count")?,
                    took: row.try_get("took")?,
                    verified_at: row.try_get("verified_at")?,
                })
            });
            let known = Known {
                asked_at: row.try_get("asked_at")?,
                live: live.transpose()?,
            };
            Ok((row.try_get("store_id")?, known))
        })
        .collect()
}

/// Returns the turn of a store's job in a run of `kind`: the lowest goes out first.
pub(super) fn turn(kind: RunKind, known: Known, is_probe: bool) -> i64 {
    let class = known.class(kind, is_probe);
    let within = match (class, kind, known.asked_at) {
        // Of stores that all have to be downloaded again, the one that was asked for the longest ago: its devices
        // come back the soonest.
        (Class::Asked, RunKind::Config, Some(asked_at)) => asked_at,
        _ => i64::MAX - known.expected_millis(),
    };
    ((class as i64) << CLASS_SHIFT) | (within & ((1 << CLASS_SHIFT) - 1))
}

impl Known {
    fn class(self, kind: RunKind, is_probe: bool) -> Class {
        let is_asked = match (self.asked_at, self.live) {
            (Some(asked_at), Some(live)) => kind == RunKind::Config || asked_at > live.verified_at,
            (Some(_), None) => true,
            (None, _) => kind == RunKind::Demand,
        };
        match self.live {
            _ if is_probe => Class::Probe,
            _ if is_asked => Class::Asked,
            None => Class::New,
            Some(_) => Class::Refresh,
        }
    }

    /// Returns how long a job of the store is expected to take: as long as the last one that made a snapshot, and not
    /// less than its rows take. That one may have downloaded all of them, or only what had changed.
    fn expected_millis(self) -> i64 {
        let longest = (1 << CLASS_SHIFT) - 1;
        self.live.map_or(0, |live| {
            let for_rows = live.rows / ROWS_A_MILLI;
            live.took.unwrap_or_default().max(for_rows).min(longest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(asked_at: i64, rows: i64, took: i64) -> Known {
        Known {
            asked_at: (asked_at > 0).then_some(asked_at),
            live: (rows > 0).then_some(LiveSize {
                rows,
                bytes: 0,
                took: (took > 0).then_some(took),
                verified_at: 1_000,
            }),
        }
    }

    fn order(kind: RunKind, stores: &[(&'static str, Known, bool)]) -> Vec<&'static str> {
        let mut stores = stores.to_vec();
        stores.sort_by_key(|&(_, known, is_probe)| turn(kind, known, is_probe));
        stores.into_iter().map(|(name, ..)| name).collect()
    }

    #[test]
    fn asked_for_stores_go_first_then_new_ones_then_the_longest() {
        let stores = [
            ("probe", store(9_000, 5_000_000, 0), true),
            ("small", store(0, 100, 7), false),
            ("served", store(900, 100, 8), false),
            ("large", store(0, 500_000, 0), false),
            ("slow", store(0, 100, 60_000), false),
            ("new", store(0, 0, 0), false),
            ("asked", store(2_000, 100, 0), false),
            ("asked, large", store(2_000, 10_000, 0), false),
        ];
        let expected = [
            "asked, large",
            "asked",
            "new",
            "slow",
            "large",
            "served",
            "small",
            "probe",
        ];
        assert_eq!(order(RunKind::Schedule, &stores), expected);
    }

    #[test]
    fn after_a_change_of_the_config_the_store_that_was_asked_for_the_longest_ago_is_first() {
        let now = 1_800_000_000_000;
        let stores = [
            ("never", store(0, 900_000, 0), false),
            ("later", store(now, 100, 0), false),
            ("earlier", store(now - 1, 100, 0), false),
        ];
        let expected = ["earlier", "later", "never"];
        assert_eq!(order(RunKind::Config, &stores), expected);
    }

    #[test]
    fn no_duration_is_too_long_for_its_class() {
        let endless = store(0, i64::MAX, i64::MAX);
        assert!(turn(RunKind::Run, endless, false) > turn(RunKind::Run, store(0, 0, 0), false));
    }
}

//! Totals of runs that are long over, so that they are not added up again each time that runs are shown.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::RunId;
use sqlx::{Row, any::AnyRow};

use super::totals::Totals;
use crate::catalog::database::{CatalogError, parsed, time};

/// A run that ended so long ago hardly changes: only a snapshot that arrives very late does.
const LONG_OVER: TimeDelta = TimeDelta::minutes(1);

/// How long totals are remembered.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

/// The totals of runs that are long over.
#[derive(Debug, Default)]
pub struct EndedRuns(Mutex<HashMap<RunId, Remembered>>);

#[derive(Debug)]
struct Remembered {
    read_at: Instant,
    totals: Option<Totals>,
}

impl EndedRuns {
    /// Returns what is remembered of the runs in `rows`, and expects those that are long over.
    pub(super) fn known(&self, rows: &[AnyRow]) -> Result<HashMap<RunId, Totals>, CatalogError> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashMap::new();
        let mut shown = HashMap::new();
        for row in rows {
            let finished_at: Option<i64> = row.try_get("finished_at")?;
            if !is_long_over(finished_at.map(time).transpose()?) {
                continue;
            }
            let run_id: RunId = parsed(row, "id", "a run id")?;
            let remembered = runs.remove(&run_id);
            let remembered = remembered.filter(|run| run.read_at.elapsed() < REMEMBERED);
            let remembered = remembered.unwrap_or_else(|| Remembered {
                read_at: Instant::now(),
                totals: None,
            });
            if let Some(totals) = remembered.totals {
                known.insert(run_id, totals);
            }
            shown.insert(run_id, remembered);
        }
        // Those that are not shown any more are forgotten.
        *runs = shown;
        Ok(known)
    }

    /// Remembers the totals that were expected.
    pub(super) fn keep(&self, read: &HashMap<RunId, Totals>) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (run_id, remembered) in runs.iter_mut() {
            if let Some(&totals) = read.get(run_id) {
                remembered.totals = Some(totals);
            }
        }
    }
}

fn is_long_over(finished_at: Option<DateTime<Utc>>) -> bool {
    finished_at.is_some_and(|finished_at| Utc::now() - finished_at > LONG_OVER)
}

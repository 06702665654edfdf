//! Jobs in time: when each of a run was worked on, by whom, and what its time went into.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use seedbed_protocol::{RunId, manifest::StepTiming};
use sqlx::{Row, any::AnyRow};

use crate::catalog::{
    database::{Catalog, CatalogError, count, parsed, sql, time},
    state::JobState::{self, Retried},
};

/// A job that a worker has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedJob {
    /// Its store.
    pub store_id: String,
    /// Its state.
    pub state: JobState,
    /// The worker of its last attempt.
    pub worker: String,
    /// Its attempts.
    pub attempts: u64,
    /// When its first attempt started, by the worker's clock.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// `unchanged`, `base` or `full`.
    pub way: Option<String>,
    /// The step that failed last.
    pub failed_step: Option<String>,
    /// What its last attempt went into, in order; the last one failed, if it failed. Empty if that is not known, or it has not ended.
    pub steps: Vec<StepTiming>,
}

/// Writes steps as the column has them.
pub(in crate::catalog) fn stored_steps(steps: &[StepTiming]) -> Option<String> {
    let is_plain = |step: &&StepTiming| step.step.chars().all(|of| of.is_ascii_alphanumeric());
    let steps: Vec<String> = (steps.iter().filter(is_plain))
        .map(|StepTiming { step, millis }| format!("{step}={millis}"))
        .collect();
    (!steps.is_empty()).then(|| steps.join(" "))
}

/// Reads what [`stored_steps`] wrote. What is damaged is left out: a picture is not worth an error.
fn read_steps(text: &str) -> Vec<StepTiming> {
    let step = |part: &str| {
        let (step, millis) = part.split_once('=')?;
        Some(StepTiming {
            step: step.to_owned(),
            millis: millis.parse().ok()?,
        })
    };
    text.split(' ').filter_map(step).collect()
}

impl Catalog {
    /// Streams the jobs of a run that a worker has started, in the order of their starts.
    pub fn timed_jobs(&self, run_id: RunId) -> BoxStream<'_, Result<TimedJob, CatalogError>> {
        sqlx::query(sql!(
            "SELECT store_id, state, worker, attempt, started_at, finished_at, way, failure_step, steps FROM jobs \
             WHERE run_id = $1 AND started_at IS NOT NULL AND state <> '{Retried}' ORDER BY started_at, id"
        ))
        .bind(run_id.to_string())
        .fetch(&self.readers)
        .map(|row| timed_job(&row?))
        .boxed()
    }
}

fn timed_job(row: &AnyRow) -> Result<TimedJob, CatalogError> {
    let finished_at: Option<i64> = row.try_get("finished_at")?;
    let steps: Option<String> = row.try_get("steps")?;
    let worker: Option<String> = row.try_get("worker")?;
    Ok(TimedJob {
        store_id: row.try_get("store_id")?,
        state: parsed(row, "state", "the state of a job")?,
        worker: worker.unwrap_or_default(),
        attempts: count(row, "attempt")?,
        started_at: time(row.try_get("started_at")?)?,
        finished_at: finished_at.map(time).transpose()?,
        way: row.try_get("way")?,
        failed_step: row.try_get("failure_step")?,
        // Until it has ended, they are those of the attempt before.
        steps: steps
            .as_deref()
            .filter(|_| finished_at.is_some())
            .map(read_steps)
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_stored_and_damage_is_left_out() {
        let timing = |step: &str, millis| StepTiming {
            step: step.to_owned(),
            millis,
        };
        let steps = [timing("sync", 340), timing("upload", 0)];
        let stored = stored_steps(&steps).unwrap();
        assert_eq!(stored, "sync=340 upload=0");
        assert_eq!(read_steps(&stored), steps);
        assert_eq!(read_steps("sync=340 upload fetch=x"), [timing("sync", 340)]);
        assert_eq!(stored_steps(&[timing("a b=c", 1)]), None);
        assert_eq!(stored_steps(&[]), None);
    }
}

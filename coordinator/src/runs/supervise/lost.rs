//! Finds jobs whose messages are gone, and has them published again.
//!
//! A queue, an exchange or a virtual host that somebody deletes takes its messages along, and a server may be restored
//! without them. The broker does not say which messages it has, only how many: there must be at least as many as jobs that
//! have waited for a while, and jobs whose worker is gone or works on nothing. What is missing is the oldest of them, since a
//! queue is first in, first out. A wrong guess makes a job come twice, which counts once; the next look corrects it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::broker::{Broker, Queue};
use tracing::warn;

use crate::{
    catalog::{Awaited, Catalog},
    metrics::LostMetrics,
    runs::error::RunError,
};

/// How long it takes at most until a job is in its queue after the catalog has it there, or the other way round; and what
/// clocks of coordinators may differ.
const MARGIN: TimeDelta = TimeDelta::seconds(5);

/// How long after its time for an attempt a worker may still report.
const LATE: TimeDelta = TimeDelta::minutes(2);

/// When a job counts as lost.
#[derive(Debug, Clone, Copy)]
pub struct LostAfter {
    /// How long a job waits before its message can count as missing.
    pub waiting: Duration,
    /// How long an attempt takes at most.
    pub attempt: Duration,
}

/// Looks for lost jobs, again and again.
pub(in crate::runs) struct Lost {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    after: LostAfter,
    last: Mutex<Option<Look>>,
    metrics: LostMetrics,
}

/// What the broker had.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Before it was asked.
    at: DateTime<Utc>,
    /// Messages of jobs that no worker held.
    held: u64,
    /// How many were missing by the look before, while they were moving perhaps.
    missing: u64,
}

impl Lost {
    pub(in crate::runs) fn new(
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        after: LostAfter,
    ) -> Self {
        Self {
            catalog,
            broker,
            after,
            last: Mutex::default(),
            metrics: LostMetrics::new(),
        }
    }

    /// Looks once. Call it when no event waits: it may say that a job has started or ended.
    pub(in crate::runs) async fn look(&self) -> Result<(), RunError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = match last {
            Some(last) => self.compare(last).await?,
            None => 0,
        };
        let at = Utc::now();
        let held = self.broker.held(Queue::Jobs).await?;
        let look = Look { at, held, missing };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
        Ok(())
    }

    /// Compares the catalog with what the broker had, and has jobs published again that two looks in a row miss. Returns
    /// how many are missing.
    async fn compare(&self, last: Look) -> Result<u64, RunError> {
        let longest = TimeDelta::from_std(self.after.attempt).unwrap_or(TimeDelta::MAX);
        let awaited = Awaited {
            queued_before: last.at - MARGIN,
            started_before: last
                .at
                .checked_sub_signed(longest)
                .map_or(DateTime::UNIX_EPOCH, |at| at - LATE),
            idle_after: MARGIN,
        };
        let expected = self.catalog.awaited_jobs(awaited).await?;
        let missing = expected.saturating_sub(last.held);
        let lost = missing.min(last.missing);
        if lost == 0 {
            return Ok(missing);
        }
        let again = self
            .catalog
            .list_lost(awaited, self.after.waiting, lost)
            .await?;
        if again > 0 {
            self.metrics.lost.add(again, &[]);
            warn!(
                jobs = again,
                "jobs were lost with their messages and are published again; was a queue or a virtual host deleted?"
            );
        }
        Ok(missing - again)
    }
}

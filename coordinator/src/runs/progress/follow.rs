//! Follows runs to their end, from what the catalog knows.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::future;
use seedbed_protocol::{RunId, broker::Broker};
use tokio::sync::watch;
use tracing::warn;

use super::{
    numbers::{Progress, Summary},
    observer::Observer,
};
use crate::{
    catalog::{Catalog, CatalogError, Totals, per_second},
    runs::queues::{Standing, Untaken},
};

/// Between two reads of a run's totals: so many times what the last one took, within these limits.
const TOTALS_SHARE: u32 = 20;
const TOTALS_POLL: Duration = Duration::from_millis(500);
const LONGEST_TOTALS_POLL: Duration = Duration::from_secs(5);

/// Between two questions whether any worker takes jobs, and how long the broker has for an answer.
const STANDING_POLL: Duration = Duration::from_secs(2);
const STANDING_TIMEOUT: Duration = Duration::from_secs(2);

/// Follows runs on behalf of one process.
pub(crate) struct Follower {
    catalog: Catalog,
    observer: Arc<dyn Observer>,
    /// Where jobs wait for workers of other processes, if they do.
    broker: Option<Arc<dyn Broker>>,
}

impl Follower {
    /// Tells `observer` what `catalog` knows.
    pub(crate) fn new(catalog: Catalog, observer: Arc<dyn Observer>) -> Self {
        Self {
            catalog,
            observer,
            broker: None,
        }
    }

    /// Also tells whether any worker takes the jobs that wait at `broker`.
    pub(crate) fn watching(self, broker: Arc<dyn Broker>) -> Self {
        Self {
            broker: Some(broker),
            ..self
        }
    }

    /// Shows how far these runs are until each of their jobs has ended. Recording what workers report is the task of
    /// another part of the process, or of another process.
    ///
    /// # Errors
    /// [`CatalogError`], except for transient ones.
    pub(crate) async fn wait_for_end(&self, runs: &[RunId]) -> Result<(), CatalogError> {
        let totals = watch::Sender::new(self.totals(runs).await?);
        let untaken = watch::Sender::new(Untaken::default());
        let (current, waiting) = (totals.subscribe(), untaken.subscribe());
        let progress = move || Progress {
            untaken: *waiting.borrow(),
            ..Progress::from(*current.borrow())
        };
        tokio::select! {
            ended = self.keep_totals(runs, &totals) => ended,
            never = self.watch_standing(&untaken) => match never {},
            never = self.observer.watch(Box::new(progress)) => match never {},
        }
    }

    /// Keeps up to date what the jobs of these runs add up to, until each has ended.
    ///
    /// # Errors
    /// [`CatalogError`], except for transient ones.
    pub(crate) async fn keep_totals(
        &self,
        runs: &[RunId],
        totals: &watch::Sender<Totals>,
    ) -> Result<(), CatalogError> {
        loop {
            let started = Instant::now();
            match self.totals(runs).await {
                Ok(now) => {
                    totals.send_replace(now);
                    if now.in_flight == 0 {
                        return Ok(());
                    }
                }
                Err(error) if error.is_transient() => warn!("the catalog is unavailable: {error}"),
                Err(error) => return Err(error),
            }
            // Every job of a run is counted: of a long one not all the time.
            let pause = (started.elapsed() * TOTALS_SHARE).clamp(TOTALS_POLL, LONGEST_TOTALS_POLL);
            tokio::time::sleep(pause).await;
        }
    }

    /// Keeps up to date whether any worker takes the jobs that wait. While the broker does not answer, nobody knows.
    async fn watch_standing(&self, untaken: &watch::Sender<Untaken>) -> Infallible {
        let Some(broker) = &self.broker else {
            return future::pending().await;
        };
        loop {
            let standing = Standing::of(broker.as_ref());
            let now = match tokio::time::timeout(STANDING_TIMEOUT, standing).await {
                Ok(Ok(standing)) => standing.untaken(),
                _ => Untaken::default(),
            };
            untaken.send_replace(now);
            tokio::time::sleep(STANDING_POLL).await;
        }
    }

    /// Tells the observer how these runs ended, under the id of the first.
    pub(crate) async fn sum_up(&self, runs: &[RunId]) -> Result<Summary, CatalogError> {
        let mut failures = Vec::new();
        for &run_id in runs {
            let left = self.observer.named_failures() - failures.len() as i64;
            failures.extend(self.catalog.failed_jobs(run_id, left).await?);
        }
        let totals = self.totals(runs).await?;
        let elapsed = self.period(runs).await?;
        let summary = Summary {
            run_id: runs[0],
            totals,
            elapsed,
            rows_per_second: per_second(totals.rows, elapsed),
            failures,
        };
        self.observer.summary(&summary);
        Ok(summary)
    }

    /// Returns the time from the start of the first of these runs to the end of the last, whoever watched them.
    async fn period(&self, runs: &[RunId]) -> Result<Duration, CatalogError> {
        let now = Utc::now();
        let (mut start, mut end) = (now, DateTime::UNIX_EPOCH);
        for &run_id in runs {
            if let Some(run) = self.catalog.find_run(run_id).await? {
                start = start.min(run.started_at);
                end = end.max(run.finished_at.unwrap_or(now));
            }
        }
        Ok((end - start).to_std().unwrap_or_default())
    }

    /// What the jobs of these runs add up to.
    pub(crate) async fn totals(&self, runs: &[RunId]) -> Result<Totals, CatalogError> {
        let mut sum = Totals::default();
        for &run_id in runs {
            sum += self.catalog.totals(run_id).await?;
        }
        Ok(sum)
    }
}

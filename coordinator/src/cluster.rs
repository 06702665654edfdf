//! `seedbed run`: one sweep over the stores, for the workers of a cluster.
//!
//! The jobs are in the catalog before the first is published, and they go on without this process: whoever
//! runs next, or serves, publishes what is left and records what the workers report. A store that is still in
//! flight, of whichever run, is not seeded again; this run waits for the other one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use seedbed_protocol::{
    RunId,
    broker::{Broker, BrokerError},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Span, warn};

use crate::{
    catalog::{Catalog, CatalogError, ListOptions, Listed, Totals},
    config::Settings,
    events::{Events, EventsError},
    progress::{Counts, Reporter, Standing, Summary},
    publish::Publisher,
    run::{self, RunError, StoreFilter},
    stores::StoreSource,
    tend,
};

/// Between two looks at the catalog.
const LOOK: Duration = Duration::from_millis(500);

/// Why a command on the cluster stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The run did not start, or could not be published.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What workers report can no longer be recorded.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// How following runs ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every job ended.
    Finished(Summary),
    /// It was told to stop watching. The jobs go on.
    Interrupted,
}

/// A coordinator on a cluster's catalog and broker.
pub struct Cluster {
    settings: Settings,
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    publisher: Publisher,
    reporter: Reporter,
}

impl Cluster {
    /// A coordinator on these parts.
    pub fn new(
        settings: Settings,
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        reporter: Reporter,
    ) -> Self {
        let publisher = Publisher::new(catalog.clone(), broker.clone(), settings.clone());
        Self {
            settings,
            catalog,
            broker,
            publisher,
            reporter,
        }
    }

    /// Lists the stores of `source` as a new run and publishes its jobs, beside what earlier runs left
    /// unpublished.
    ///
    /// # Errors
    /// [`ClusterError`]. What was listed is not lost: the next run goes on with it.
    pub async fn start(
        &self,
        source: &StoreSource,
        filter: &StoreFilter,
        options: ListOptions,
    ) -> Result<Listed, ClusterError> {
        let run = run::list(&self.catalog, &self.settings, source, filter, options).await?;
        if let Some(run_id) = run.listed.run_id {
            self.publisher.publish(run_id, &run.span).await?;
        }
        tend::tend(&self.catalog, &self.publisher).await?;
        Ok(run.listed)
    }

    /// Publishes the jobs of runs that are listed already.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn publish(&self, runs: &[RunId]) -> Result<(), ClusterError> {
        for &run_id in runs {
            self.publisher.publish(run_id, &Span::none()).await?;
        }
        Ok(())
    }

    /// Shows how far these runs are until each of their jobs has ended, records what workers report, and keeps
    /// all runs from getting stuck meanwhile. The sum is told under the name of the first.
    ///
    /// # Errors
    /// [`ClusterError`]; the jobs go on.
    pub async fn follow(
        &self,
        runs: &[RunId],
        stop: CancellationToken,
    ) -> Result<Outcome, ClusterError> {
        let started = Instant::now();
        let standing = watch::Sender::new(self.standing(runs).await?);
        let current = standing.subscribe();
        tokio::select! {
            ended = self.wait_for_end(runs, &standing) => ended?,
            failed = self.record_events() => failed?,
            failed = tend::keep_tending(&self.catalog, &self.publisher) => failed?,
            never = self.reporter.follow(move || *current.borrow()) => match never {},
            () = stop.cancelled() => return Ok(Outcome::Interrupted),
        }
        self.catalog.finish_runs().await?;
        let summary = self.summary(runs, started).await?;
        self.reporter.summary(&summary);
        Ok(Outcome::Finished(summary))
    }

    /// Records what workers report, also after the catalog or the broker was away for a while.
    async fn record_events(&self) -> Result<(), EventsError> {
        let (catalog, broker) = (self.catalog.clone(), self.broker.clone());
        let events = Events::new(catalog, broker, watch::Sender::default());
        loop {
            match events.run(CancellationToken::new()).await {
                Err(error) if error.is_transient() => warn!("events are recorded later: {error}"),
                ended => return ended,
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn wait_for_end(
        &self,
        runs: &[RunId],
        standing: &watch::Sender<Standing>,
    ) -> Result<(), ClusterError> {
        loop {
            match self.standing(runs).await {
                Ok(now) => {
                    standing.send_replace(now);
                    if now.counts.done() {
                        return Ok(());
                    }
                }
                Err(error) if error.is_transient() => warn!("the catalog is away: {error}"),
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn standing(&self, runs: &[RunId]) -> Result<Standing, CatalogError> {
        let totals = self.totals(runs).await?;
        Ok(Standing {
            counts: Counts {
                stores: totals.stores,
                seeded: totals.seeded,
                failed: totals.failed,
                dropped: totals.abandoned + totals.cancelled,
            },
            rows: totals.rows,
            bytes: totals.bytes,
        })
    }

    async fn totals(&self, runs: &[RunId]) -> Result<Totals, CatalogError> {
        let mut sum = Totals::default();
        for &run_id in runs {
            sum += self.catalog.totals(run_id).await?;
        }
        Ok(sum)
    }

    async fn summary(&self, runs: &[RunId], started: Instant) -> Result<Summary, ClusterError> {
        let mut failures = Vec::new();
        for &run_id in runs {
            let left = self.reporter.named_failures() - failures.len() as i64;
            failures.extend(self.catalog.failed_jobs(run_id, left).await?);
        }
        Ok(Summary {
            run_id: runs[0],
            totals: self.totals(runs).await?,
            elapsed: started.elapsed(),
            failures,
        })
    }
}

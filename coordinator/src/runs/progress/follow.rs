//! Shows how far runs are, from what the catalog knows, until they end.

use std::time::{Duration, Instant};

use seedbed_protocol::RunId;
use tokio::sync::watch;
use tracing::warn;

use crate::{
    catalog::{Catalog, CatalogError, Totals},
    cli::progress::{Counts, Reporter, Standing, Summary},
};

/// Between two looks at the catalog.
const LOOK: Duration = Duration::from_millis(500);

/// Follows runs on behalf of one process.
pub(crate) struct Follower {
    catalog: Catalog,
    reporter: Reporter,
}

impl Follower {
    /// Tells `reporter` what `catalog` knows.
    pub(crate) fn new(catalog: Catalog, reporter: Reporter) -> Self {
        Self { catalog, reporter }
    }

    /// Shows how far these runs are until each of their jobs has ended. Somebody else has to record what workers
    /// report.
    ///
    /// # Errors
    /// [`CatalogError`], unless it may pass.
    pub(crate) async fn wait_for_end(&self, runs: &[RunId]) -> Result<(), CatalogError> {
        let standing = watch::Sender::new(self.standing(runs).await?);
        let current = standing.subscribe();
        tokio::select! {
            ended = self.look_until_end(runs, &standing) => ended,
            never = self.reporter.follow(move || *current.borrow()) => match never {},
        }
    }

    async fn look_until_end(
        &self,
        runs: &[RunId],
        standing: &watch::Sender<Standing>,
    ) -> Result<(), CatalogError> {
        loop {
            match self.standing(runs).await {
                Ok(now) => {
                    standing.send_replace(now);
                    if now.counts.done() {
                        return Ok(());
                    }
                }
                Err(error) if error.is_transient() => warn!("the catalog is away: {error}"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How far these runs are.
    pub(crate) async fn standing(&self, runs: &[RunId]) -> Result<Standing, CatalogError> {
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

    /// Tells what became of these runs, under the name of the first.
    pub(crate) async fn sum_up(
        &self,
        runs: &[RunId],
        started: Instant,
    ) -> Result<(), CatalogError> {
        let mut failures = Vec::new();
        for &run_id in runs {
            let left = self.reporter.named_failures() - failures.len() as i64;
            failures.extend(self.catalog.failed_jobs(run_id, left).await?);
        }
        self.reporter.summary(&Summary {
            run_id: runs[0],
            totals: self.totals(runs).await?,
            elapsed: started.elapsed(),
            failures,
        });
        Ok(())
    }

    async fn totals(&self, runs: &[RunId]) -> Result<Totals, CatalogError> {
        let mut sum = Totals::default();
        for &run_id in runs {
            sum += self.catalog.totals(run_id).await?;
        }
        Ok(sum)
    }
}

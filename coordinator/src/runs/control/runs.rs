//! Starts, retries and cancels runs.
//!
//! Each call returns when the catalog has it. None of them publishes: a loop that publishes what is listed finds the
//! jobs, also when the process that listed them is gone. That is why several servers need no leader.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, StoreId, broker::Broker};
use tokio::sync::{Mutex, Notify};

use super::{
    cancel::{self, Cancelled},
    retry,
};
use crate::{
    catalog::{Catalog, Listed, Quarantine, Retried, RunKind, Sweep},
    runs::{
        error::RunError,
        job::JobMaker,
        list::{self, StoreFilter, StoreList},
    },
};

/// Controls the runs of one catalog.
pub struct Runs {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    jobs: JobMaker,
    /// Wakes the loop that publishes.
    listed: Arc<Notify>,
    quarantine: Quarantine,
    /// Held while stores are listed. Lists wait for each other in the catalog anyway; here they keep no connection.
    listing: Mutex<()>,
}

impl Runs {
    /// Controls the runs of `catalog`, with its stores in `quarantine`, and notifies `listed` when there is something to
    /// publish.
    pub fn new(
        jobs: JobMaker,
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        listed: Arc<Notify>,
        quarantine: Quarantine,
    ) -> Self {
        Self {
            catalog,
            broker,
            jobs,
            listed,
            quarantine,
            listing: Mutex::default(),
        }
    }

    /// Returns when stores are quarantined.
    pub fn quarantine(&self) -> Quarantine {
        self.quarantine
    }

    /// Lists a run over all of `stores`, or over those that `filter` lets pass.
    ///
    /// # Errors
    /// [`RunError`]; then nothing was started.
    pub async fn start(
        &self,
        stores: &StoreList,
        filter: &StoreFilter,
        sweep: Sweep,
    ) -> Result<Listed, RunError> {
        let _listing = self.listing.lock().await;
        // Who is named is wanted; a device that asks again and again is no person.
        let is_chosen = !filter.stores.is_empty() && sweep.kind != RunKind::Demand;
        let sweep = Sweep {
            quarantine: (!is_chosen).then_some(self.quarantine),
            ..sweep
        };
        let listed = list::list(&self.catalog, &self.jobs, stores, filter, sweep).await?;
        self.listed.notify_one();
        Ok(listed)
    }

    /// Claims the run that is scheduled for `due`: true for the first of all coordinators that asks.
    ///
    /// # Errors
    /// [`RunError::Catalog`].
    pub async fn claim(&self, due: DateTime<Utc>) -> Result<bool, RunError> {
        Ok(self.catalog.claim_schedule(due).await?)
    }

    /// Retries failed jobs: those of `run_id` or of every run, and of them all or only those of `stores`.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn retry(
        &self,
        run_id: Option<RunId>,
        stores: &[StoreId],
    ) -> Result<Retried, RunError> {
        let retried = retry::retry(&self.catalog, self.broker.as_ref(), run_id, stores).await?;
        self.listed.notify_one();
        Ok(retried)
    }

    /// Cancels every job of `run_id` that no worker has started.
    ///
    /// # Errors
    /// [`RunError`]; calling again continues where this stopped.
    pub async fn cancel(&self, run_id: RunId) -> Result<Cancelled, RunError> {
        cancel::cancel(&self.catalog, self.broker.as_ref(), run_id).await
    }
}

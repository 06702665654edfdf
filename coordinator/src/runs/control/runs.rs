//! Starts, retries and cancels runs.
//!
//! Each call returns when the catalog has it. None of them publishes: a loop that publishes what is listed finds the
//! jobs, also when the process that listed them is gone. That is why several servers need no leader.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, broker::Broker};
use tokio::sync::{Mutex, Notify};

use super::{
    cancel::{self, Cancelled},
    retry,
};
use crate::{
    catalog::{Catalog, FailedJobs, Listed, Quarantine, Retried, RunKind, ScheduleClaim, Sweep},
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
        self.list(stores, filter, sweep, None).await
    }

    /// Lists the run of a scheduled time, as [`Self::start`] does. The claim ends with the commit of the list.
    ///
    /// # Errors
    /// [`RunError`], also if another coordinator has taken the claim over; then nothing was started.
    pub async fn start_claimed(
        &self,
        stores: &StoreList,
        filter: &StoreFilter,
        sweep: Sweep,
        claim: &ScheduleClaim,
    ) -> Result<Listed, RunError> {
        self.list(stores, filter, sweep, Some(claim)).await
    }

    async fn list(
        &self,
        stores: &StoreList,
        filter: &StoreFilter,
        sweep: Sweep,
        claim: Option<&ScheduleClaim>,
    ) -> Result<Listed, RunError> {
        let _listing = self.listing.lock().await;
        // Who is named is wanted; a device that asks again and again is no person.
        let is_chosen = !filter.stores.is_empty() && sweep.kind != RunKind::Demand;
        let sweep = Sweep {
            quarantine: (!is_chosen).then_some(self.quarantine),
            ..sweep
        };
        let listed = list::list(&self.catalog, &self.jobs, stores, filter, sweep, claim).await?;
        self.listed.notify_one();
        Ok(listed)
    }

    /// Returns the time by the clock that all coordinators share.
    ///
    /// # Errors
    /// [`RunError::Catalog`].
    pub async fn now(&self) -> Result<DateTime<Utc>, RunError> {
        Ok(self.catalog.now().await?)
    }

    /// Claims the run that is scheduled for `due`, for the first of all coordinators that asks.
    ///
    /// # Errors
    /// [`RunError::Catalog`].
    pub async fn claim(
        &self,
        due: DateTime<Utc>,
        lease: Duration,
    ) -> Result<Option<ScheduleClaim>, RunError> {
        Ok(self.catalog.claim_schedule(due, lease).await?)
    }

    /// Takes over a claim whose lease has run out, see [`Catalog::take_over_claim`].
    ///
    /// # Errors
    /// [`RunError::Catalog`].
    pub async fn take_over_claim(
        &self,
        lease: Duration,
    ) -> Result<Option<ScheduleClaim>, RunError> {
        Ok(self.catalog.take_over_claim(lease).await?)
    }

    /// Renews the lease of a claim; whether it is still this process's.
    ///
    /// # Errors
    /// [`RunError::Catalog`].
    pub async fn renew_claim(
        &self,
        claim: &ScheduleClaim,
        lease: Duration,
    ) -> Result<bool, RunError> {
        Ok(self.catalog.renew_claim(claim, lease).await?)
    }

    /// Retries failed jobs.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn retry(&self, which: FailedJobs<'_>) -> Result<Retried, RunError> {
        let retried = retry::retry(&self.catalog, self.broker.as_ref(), which).await?;
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

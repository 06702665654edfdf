//! What people and programs can have done: start runs, start failed stores over, drop what has not started.
//!
//! Each call returns when the catalog has it; whoever serves publishes it at once.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, StoreId, broker::Broker};
use tokio::sync::{Mutex, Notify};

use super::cancel::{Cancelled, RequeueError};
use crate::runs::{control::cancel as requeue, list as run};
use crate::{
    catalog::{Catalog, Covers, Download, InFlight, ListOptions, Listed, Retried},
    runs::list::{RunError, StoreFilter},
    settings::root::Settings,
    source::record::StoreSource,
};

/// Acts on one catalog and one list of stores.
pub struct Operator {
    settings: Settings,
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    source: StoreSource,
    /// Whether stores that are not in `source` are gone.
    source_is_all: bool,
    /// Wakes whoever publishes.
    publish: Arc<Notify>,
    /// Held while stores are listed. Lists wait for each other in the catalog anyway; here they keep no connection.
    listing: Mutex<()>,
}

impl Operator {
    /// Lists the stores of `source` in `catalog`, and wakes `publish` when there is something to publish. A sweep
    /// retires stores that are not in the source only if `source_is_all`.
    pub fn new(
        settings: Settings,
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        source: StoreSource,
        source_is_all: bool,
        publish: Arc<Notify>,
    ) -> Self {
        Self {
            settings,
            catalog,
            broker,
            source,
            source_is_all,
            publish,
            listing: Mutex::default(),
        }
    }

    /// Lists a run over all stores, or over those that `filter` lets pass.
    ///
    /// # Errors
    /// [`RunError`]; then nothing was started.
    pub async fn start(
        &self,
        filter: &StoreFilter,
        options: ListOptions,
    ) -> Result<Listed, RunError> {
        let options = ListOptions {
            covers: if self.source_is_all && filter.is_all() {
                options.covers
            } else {
                Covers::Some
            },
            ..options
        };
        let _listing = self.listing.lock().await;
        let listed =
            run::list(&self.catalog, &self.settings, &self.source, filter, options).await?;
        self.publish.notify_one();
        Ok(listed)
    }

    /// Whether the caller is the first of all coordinators that starts the run that is scheduled for `due`.
    ///
    /// # Errors
    /// [`RunError::Catalog`].
    pub async fn claim(&self, due: DateTime<Utc>) -> Result<bool, RunError> {
        Ok(self.catalog.claim_schedule(due).await?)
    }

    /// Starts failed jobs over: those of `run_id` or of every run, and of them all or only those of `stores`.
    ///
    /// # Errors
    /// [`RequeueError`].
    pub async fn retry(
        &self,
        run_id: Option<RunId>,
        stores: &[StoreId],
    ) -> Result<Retried, RequeueError> {
        let retried = requeue::retry(&self.catalog, self.broker.as_ref(), run_id, stores).await?;
        self.publish.notify_one();
        Ok(retried)
    }

    /// Drops every job of `run_id` that no worker has started.
    ///
    /// # Errors
    /// [`RequeueError`]; calling again goes on where this stopped.
    pub async fn cancel(&self, run_id: RunId) -> Result<Cancelled, RequeueError> {
        requeue::cancel(&self.catalog, self.broker.as_ref(), run_id).await
    }
}

/// How a run is listed over `kind`'s stores, all of them or some.
pub fn options(kind: &'static str, full_sweep: bool) -> ListOptions {
    ListOptions {
        kind,
        in_flight: InFlight::Skip,
        only_older_than: None,
        covers: Covers::all_if(full_sweep),
        allow_fewer: false,
        download: Download::Changed,
        only_changed: full_sweep,
    }
}

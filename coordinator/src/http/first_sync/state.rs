//! State of first syncs: who may have what, what there is, and where the service is.

use std::sync::Arc;

use axum::http::HeaderMap;
use seedbed_protocol::{StoreId, manifest::Form, snapshots::SnapshotRepository};
use tracing::Span;
use url::Url;

use super::{
    decision::Why,
    metrics::FirstSyncMetrics,
    offers::{Known, Offers},
    places::Places,
};
use crate::{
    catalog::Catalog,
    http::{
        auth::client_token,
        download::{Downloads, Withheld},
        problem::Problem,
    },
    settings::DownloadConfig,
};

/// What first syncs are answered from.
pub(crate) struct FirstSyncs {
    pub(super) downloads: Arc<Downloads>,
    pub(super) snapshots: SnapshotRepository,
    pub(super) places: Arc<Places>,
    pub(super) metrics: Arc<FirstSyncMetrics>,
    offers: Offers,
    /// The service as devices reach it, if the settings say so.
    service: Option<Url>,
    /// The service as workers reach it; empty if it is not set.
    powersync: String,
}

impl FirstSyncs {
    /// `powersync` is `powersync.endpoint`, which devices may be able to reach as well.
    pub(crate) fn new(
        download: &DownloadConfig,
        powersync: &str,
        catalog: Catalog,
        snapshots: SnapshotRepository,
        downloads: Arc<Downloads>,
    ) -> Self {
        Self {
            downloads,
            snapshots,
            places: Places::new(download.max_streams),
            metrics: Arc::new(FirstSyncMetrics::new()),
            offers: Offers::new(catalog, download.max_age, download.start_max_age),
            service: download.service_endpoint.clone(),
            powersync: powersync.to_owned(),
        }
    }

    /// Returns what a device of this store can be given, and notes that one asks for it.
    pub(super) async fn known(&self, store_id: &StoreId) -> Result<Known, Problem> {
        Span::current().record("seedbed.store_id", tracing::field::display(store_id));
        self.downloads.note(store_id);
        let deliveries = &self.downloads.deliveries;
        let mut known = self.offers.of(store_id, deliveries.change()).await?;
        if let Some(withheld) = deliveries.withholds(store_id, Form::Stream) {
            known.offer = Err(match withheld {
                Withheld::SwitchedOff => Why::SwitchedOff,
                Withheld::NotInShare => Why::NotInShare,
            });
        }
        Ok(known)
    }

    /// The endpoint of the service, without a `/` at its end, which SDKs refuse; `None` if nothing says it.
    pub(super) fn service(&self, known: &Known) -> Option<String> {
        let set = self.service.as_ref().map(Url::as_str);
        let own = Some(self.powersync.as_str()).filter(|endpoint| !endpoint.is_empty());
        let endpoint = set.or(known.service.as_deref()).or(own)?;
        Some(endpoint.trim_end_matches('/').to_owned())
    }

    /// This server as an endpoint of the store for an SDK. Below a path of the store's own if the token does not say which
    /// store is meant.
    pub(super) async fn endpoint(
        &self,
        headers: &HeaderMap,
        store_id: &StoreId,
    ) -> Result<String, Problem> {
        let mut url = self.downloads.base(headers)?;
        let only = self
            .downloads
            .clients()
            .store_of(client_token(headers))
            .await;
        if only.ok().as_ref() != Some(store_id)
            && let Ok(mut path) = url.path_segments_mut()
        {
            path.pop_if_empty().extend(["stores", store_id.as_str()]);
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
}

/// Returns the refusal that makes an SDK ask the app for credentials, which then name the service.
pub(super) fn refused(why: Why) -> Problem {
    let message = format!("{}; go on at the PowerSync service", why.message());
    Problem::unauthorized(message).because(why.name())
}

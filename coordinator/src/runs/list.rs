//! The first half of a sweep: lists every store as a job. [`crate::publish`] is the second.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta};
use futures::StreamExt;
use opentelemetry_semantic_conventions::attribute::{DB_OPERATION_NAME, DB_SYSTEM_NAME};
use seedbed_protocol::{
    JsonObject, StoreId,
    broker::BrokerError,
    codec::CodecError,
    message::{Scope, StreamSubscription},
    trace::{attribute, fail},
};
use tracing::{Instrument, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    catalog::{Catalog, CatalogError, ListOptions, Listed, Listing},
    settings::root::Settings,
    source::record::{StoreSource, StoresError},
};
use seedbed_protocol::template::{self, TemplateError};

/// How much further back than the last sweep `:since` looks: clocks differ, and a transaction writes its times before others
/// can see them. A store that is found once too often costs one short request.
const SINCE_MARGIN: TimeDelta = TimeDelta::minutes(10);

/// Why a run did not start, or could not be published.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The list of stores is wrong or cannot be read.
    #[error(transparent)]
    Stores(#[from] StoresError),
    /// The list of stores is empty.
    #[error("no stores: {origin} lists none")]
    NoStores {
        /// The file or the database.
        origin: String,
    },
    /// A store that was asked for is not in the list.
    #[error("there is no store {store_id:?} in {origin}; nothing was started")]
    UnknownStore {
        /// The store.
        store_id: String,
        /// The file or the database.
        origin: String,
    },
    /// A template of the configuration does not fit a store.
    #[error("{setting} does not fit the store {store_id:?} (at {position} of {origin}): {source}")]
    Template {
        /// The setting.
        setting: String,
        /// The store.
        store_id: String,
        /// Its line or row.
        position: u64,
        /// The file or the database.
        origin: String,
        /// What is missing.
        source: TemplateError,
    },
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A job does not fit a message.
    #[error("cannot publish the job of the store {store_id:?}: {source}")]
    Job {
        /// The store.
        store_id: String,
        /// Why not.
        source: CodecError,
    },
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl RunError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Broker(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// Which stores of the list a run is for; all of them by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreFilter {
    /// Only these, if there are any.
    pub stores: BTreeSet<StoreId>,
    /// At most so many.
    pub limit: Option<u64>,
    /// Whether it is fine that one of `stores` is not in the list.
    pub skip_unknown: bool,
}

impl StoreFilter {
    /// Whether it lets every store pass.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// Lists the stores of `source` that `filter` lets pass as a new run. A store that is wrong in any way stops all
/// of it: then nothing is in the catalog, and nothing starts.
///
/// # Errors
/// [`RunError`] names the store and its place.
pub async fn list(
    catalog: &Catalog,
    settings: &Settings,
    source: &StoreSource,
    filter: &StoreFilter,
    options: ListOptions,
) -> Result<Listed, RunError> {
    let span = info_span!("run", seedbed.run_id = tracing::field::Empty);
    let listing = list_stores(catalog, settings, source, filter, options);
    let listed = listing.instrument(span.clone()).await;
    match &listed {
        Ok(listed) => {
            if let Some(run_id) = listed.run_id {
                span.record("seedbed.run_id", tracing::field::display(run_id));
            }
            span.set_attribute("seedbed.kind", options.kind);
            span.set_attribute("seedbed.jobs", attribute(listed.jobs));
        }
        Err(error) => fail(&span, "list", error),
    }
    listed
}

async fn list_stores(
    catalog: &Catalog,
    settings: &Settings,
    source: &StoreSource,
    filter: &StoreFilter,
    options: ListOptions,
) -> Result<Listed, RunError> {
    let options = ListOptions {
        only_changed: options.only_changed && source.knows_changes() && filter.is_all(),
        ..options
    };
    let listing = catalog.list_run(options).await?;
    let span = info_span!("list stores", otel.kind = "client");
    if let Some(system) = source.db_system() {
        span.set_attribute(DB_SYSTEM_NAME, system);
        span.set_attribute(DB_OPERATION_NAME, "SELECT");
    }
    let listed = read_stores(listing, settings, source, filter).instrument(span.clone());
    let listed = listed.await;
    if let Err(error) = &listed {
        fail(&span, "list", error);
    }
    listed
}

async fn read_stores(
    mut listing: Listing,
    settings: &Settings,
    source: &StoreSource,
    filter: &StoreFilter,
) -> Result<Listed, RunError> {
    let mut wanted = filter.stores.clone();
    let mut taken = 0;
    let changed_since = listing.changed_since();
    let since = changed_since.map_or(DateTime::UNIX_EPOCH, |sweep| sweep - SINCE_MARGIN);
    let mut stores = source.stores(since);
    let enough = |taken: u64, wanted: &BTreeSet<StoreId>| {
        filter.limit.is_some_and(|limit| taken >= limit)
            || filter.skip_unknown && !filter.stores.is_empty() && wanted.is_empty()
    };
    while !enough(taken, &wanted)
        && let Some(store) = stores.next().await
    {
        let store = store?;
        if !filter.stores.is_empty() && !wanted.remove(&store.scope.store_id) {
            continue;
        }
        Selection::of(&store.scope, settings).map_err(|(setting, error)| RunError::Template {
            setting,
            store_id: store.scope.store_id.to_string(),
            position: store.position,
            origin: source.name(),
            source: error,
        })?;
        listing.add(store.scope, store.position).await?;
        taken += 1;
    }
    let origin = source.name();
    if let Some(missing) = wanted.pop_first()
        && !filter.skip_unknown
    {
        let store_id = missing.to_string();
        return Err(RunError::UnknownStore { store_id, origin });
    }
    if taken == 0 && !filter.skip_unknown && changed_since.is_none() {
        return Err(RunError::NoStores { origin });
    }
    Ok(listing.commit().await?)
}

/// What a job asks PowerSync for beside its claims, filled in for one store.
#[derive(Debug, PartialEq)]
pub struct Selection {
    /// Sync parameters.
    pub parameters: JsonObject,
    /// Explicit stream subscriptions.
    pub subscriptions: Vec<StreamSubscription>,
}

impl Selection {
    /// Fills in the templates of `settings` with the store's claims.
    ///
    /// # Errors
    /// The setting that does not fit the store, and why.
    pub fn of(scope: &Scope, settings: &Settings) -> Result<Self, (String, TemplateError)> {
        let claims = &scope.claims;
        // The worker fills in the subject; a claim that does not fit has to show before anything starts.
        template::check_subject(&settings.token.subject, claims)
            .map_err(|e| ("token.subject".to_owned(), e))?;
        let parameters = template::fill_object(&settings.parameters, claims)
            .map_err(|e| ("[parameters]".to_owned(), e))?;
        let mut subscriptions = Vec::with_capacity(settings.streams.len());
        for (index, stream) in settings.streams.iter().enumerate() {
            let filled = stream
                .parameters
                .as_ref()
                .map(|parameters| template::fill_object(parameters, claims))
                .transpose()
                .map_err(|e| (format!("streams.{index}.parameters"), e))?;
            subscriptions.push(StreamSubscription {
                stream: stream.stream.clone(),
                parameters: filled,
                priority: stream.priority,
            });
        }
        Ok(Self {
            parameters,
            subscriptions,
        })
    }
}

//! Lists every store as a job of a new run. [`super::publish`] publishes those jobs later, in any process.
//!
//! A store that is wrong in any way stops all of it: then nothing is in the catalog, and nothing starts. The same
//! if the process is killed before the end.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta};
use futures::StreamExt;
use opentelemetry_semantic_conventions::attribute::{DB_OPERATION_NAME, DB_SYSTEM_NAME};
use seedbed_protocol::{
    StoreId,
    telemetry::trace::{attribute, fail},
};
use tracing::{Instrument, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{error::RunError, job::JobMaker};
use crate::{
    catalog::{Catalog, Covers, Listed, Listing, ScheduleClaim, Sweep},
    source::StoreSource,
};

/// How much further back than the last sweep `:since` looks: clocks differ, and a transaction writes its times
/// before others can see them. A store that is found once too often costs one short request.
const SINCE_MARGIN: TimeDelta = TimeDelta::minutes(10);

/// A source, and whether its list is complete.
#[derive(Debug)]
pub struct StoreList {
    /// The source.
    pub source: StoreSource,
    /// Whether a store that is not in it is retired. A list that was given for one command says nothing about others.
    pub is_complete: bool,
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
    /// Returns whether it lets every store pass.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// Lists the stores of `stores` that `filter` lets pass as a new run, or nothing at all. Ends the `claim` of a scheduled
/// run with it.
///
/// # Errors
/// [`RunError`] names the store and its place.
pub(super) async fn list(
    catalog: &Catalog,
    jobs: &JobMaker,
    stores: &StoreList,
    filter: &StoreFilter,
    sweep: Sweep,
    claim: Option<&ScheduleClaim>,
) -> Result<Listed, RunError> {
    let span = info_span!("run", seedbed.run_id = tracing::field::Empty);
    let listing = list_stores(
        catalog,
        jobs,
        &stores.source,
        filter,
        narrowed(sweep, stores, filter),
        claim,
    );
    let listed = listing.instrument(span.clone()).await;
    match &listed {
        Ok(listed) => {
            if let Some(run_id) = listed.run_id {
                span.record("seedbed.run_id", tracing::field::display(run_id));
            }
            span.set_attribute("seedbed.kind", sweep.kind.name());
            span.set_attribute("seedbed.jobs", attribute(listed.jobs));
        }
        Err(error) => fail(&span, "list", error),
    }
    listed
}

/// The sweep that this list and this filter allow: only a complete list without a filter covers all stores, and only
/// a source that knows what has changed may leave out the rest.
fn narrowed(sweep: Sweep, stores: &StoreList, filter: &StoreFilter) -> Sweep {
    let is_complete = stores.is_complete && filter.is_all();
    Sweep {
        covers: Covers::all_if(sweep.covers == Covers::All && is_complete),
        skip_unchanged: sweep.skip_unchanged && stores.source.knows_changes() && filter.is_all(),
        ..sweep
    }
}

async fn list_stores(
    catalog: &Catalog,
    jobs: &JobMaker,
    source: &StoreSource,
    filter: &StoreFilter,
    sweep: Sweep,
    claim: Option<&ScheduleClaim>,
) -> Result<Listed, RunError> {
    let mut listing = catalog.list_run(sweep).await?;
    if let Some(claim) = claim {
        listing = listing.of_schedule(claim.clone());
    }
    let span = info_span!("list stores", otel.kind = "client");
    if let Some(system) = source.db_system() {
        span.set_attribute(DB_SYSTEM_NAME, system);
        span.set_attribute(DB_OPERATION_NAME, source.db_operation());
    }
    let listed = read_stores(listing, jobs, source, filter).instrument(span.clone());
    let listed = listed.await;
    if let Err(error) = &listed {
        fail(&span, "list", error);
    }
    listed
}

async fn read_stores(
    mut listing: Listing,
    jobs: &JobMaker,
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
        jobs.check(&store.scope)
            .map_err(|misfit| RunError::Template {
                setting: misfit.setting,
                store_id: store.scope.store_id.to_string(),
                position: store.position,
                origin: source.name(),
                source: misfit.source,
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

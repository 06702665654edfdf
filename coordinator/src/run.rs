//! One sweep: list every store as a job, then publish the jobs.

use chrono::Utc;
use futures::StreamExt;
use seedbed_protocol::{
    Attempt, JobId, JsonObject, RunId,
    broker::{Broker, BrokerError, Message, Queue},
    codec::CodecError,
    message::{Scope, SeedJob, StreamSubscription},
    trace::{TraceContext, trace_id},
};
use tracing::{Instrument, Span, info_span};

use crate::{
    catalog::{Catalog, CatalogError, PendingJob},
    config::Settings,
    stores::{StoreSource, StoresError},
    template::{self, TemplateError},
};

/// Jobs that are read from the catalog at a time.
const PAGE: i64 = 256;

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

/// A run whose jobs are in the catalog.
#[derive(Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its jobs.
    pub stores: u64,
    span: Span,
}

/// Lists the stores of `source` as a new run. A store that is wrong in any way stops all of it: then
/// nothing is in the catalog, and nothing starts.
///
/// # Errors
/// [`RunError`] names the store and its place.
pub async fn list(
    catalog: &Catalog,
    settings: &Settings,
    source: &StoreSource,
    kind: &str,
) -> Result<Run, RunError> {
    let span = info_span!("run", seedbed.run_id = tracing::field::Empty);
    let (id, stores) = list_stores(catalog, settings, source, kind)
        .instrument(span.clone())
        .await?;
    span.record("seedbed.run_id", tracing::field::display(id));
    Ok(Run { id, stores, span })
}

#[tracing::instrument(name = "list stores", skip_all)]
async fn list_stores(
    catalog: &Catalog,
    settings: &Settings,
    source: &StoreSource,
    kind: &str,
) -> Result<(RunId, u64), RunError> {
    let mut listing = catalog.list_run(kind).await?;
    let mut stores = source.stores();
    while let Some(store) = stores.next().await {
        let store = store?;
        Selection::of(&store.scope, settings).map_err(|(setting, error)| RunError::Template {
            setting,
            store_id: store.scope.store_id.to_string(),
            position: store.position,
            origin: source.name(),
            source: error,
        })?;
        listing.add(store).await?;
    }
    let jobs = listing.jobs();
    if jobs == 0 {
        return Err(RunError::NoStores {
            origin: source.name(),
        });
    }
    Ok((listing.commit().await?, jobs))
}

/// Publishes every job of `run` that was not published yet, as fast as the broker takes them.
///
/// # Errors
/// [`RunError`]; publishing again goes on where this stopped. A job may then be published twice.
pub async fn publish(
    catalog: &Catalog,
    broker: &dyn Broker,
    settings: &Settings,
    run: &Run,
) -> Result<(), RunError> {
    let mut after = None;
    loop {
        let page = catalog.listed_jobs(run.id, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some((last.position, last.job_id));
        let mut published = Vec::with_capacity(page.len());
        for job in page {
            let job_id = job.job_id;
            // A trace of its own, that the run's points to: a run of 100,000 jobs in one trace would be of
            // use to nobody.
            let span = info_span!(
                parent: None,
                "publish",
                seedbed.run_id = %run.id,
                seedbed.job_id = %job_id,
                seedbed.store_id = %job.scope.store_id,
            );
            span.follows_from(&run.span);
            let trace = trace_id(&span);
            publish_job(broker, settings, job).instrument(span).await?;
            published.push((job_id, trace));
        }
        catalog.mark_queued(&published).await?;
    }
}

async fn publish_job(
    broker: &dyn Broker,
    settings: &Settings,
    job: PendingJob,
) -> Result<(), RunError> {
    let store_id = job.scope.store_id.to_string();
    let selection =
        Selection::of(&job.scope, settings).map_err(|(setting, source)| RunError::Template {
            setting,
            store_id: store_id.clone(),
            position: job.position.unsigned_abs(),
            origin: "the list of stores".to_owned(),
            source,
        })?;
    let job = seed_job(settings, job.run_id, job.job_id, job.scope, selection);
    let message = Message::job(&job, TraceContext::of(&Span::current()))
        .map_err(|source| RunError::Job { store_id, source })?;
    Ok(broker.publish(Queue::Jobs, message).await?)
}

/// The message for a job that is to start now.
pub(crate) fn seed_job(
    settings: &Settings,
    run_id: RunId,
    job_id: JobId,
    scope: Scope,
    selection: Selection,
) -> SeedJob {
    SeedJob {
        run_id,
        job_id,
        scope,
        parameters: selection.parameters,
        default_streams: settings.sync.default_streams,
        subscriptions: selection.subscriptions,
        attempt: Attempt::FIRST,
        deadline: Utc::now() + settings.worker.job_timeout,
        base: None,
    }
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

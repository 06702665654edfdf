//! Checks that every part is configured, reachable and usable. Leaves nothing behind.

use std::{collections::HashMap, sync::Arc};

use chrono::DateTime;
use futures::StreamExt;
use seedbed_protocol::{
    JobId, RunId,
    broker::{self, MemoryBroker},
    error::chain,
    manifest::FullReason,
    message::Start,
    snapshots::SnapshotRepository,
};
use seedbed_worker::{Probe, Worker};

use super::{
    catalog, certificate, clock,
    directories::{RemoveNewDirectories, catalog_directory, snapshot_directory},
    downloads, login,
    objects::{self, Probed},
    policies::{self, Policies},
    report::{Checked, PartCheck, Parts},
    worker,
};
use crate::{
    cli::output::counted,
    programs::job_maker,
    settings::Settings,
    source::{Store, StoreSource},
};

/// Checks each part that seeding needs, in the order in which it needs them.
pub(super) async fn check_parts(settings: &Settings, source: &StoreSource) -> Vec<PartCheck> {
    let mut parts = Parts(Vec::new());
    let _clean = RemoveNewDirectories::of([
        catalog_directory(settings),
        snapshot_directory(settings),
        Some(settings.worker.directory.clone()),
    ]);
    let found = listed(settings, source).await;
    let found = parts.note("stores", found, |found| found.told(source));
    let first = found.map(|found| found.first);
    let probed = objects::write(settings).await;
    let download = &settings.download;
    let downloads = match &probed {
        Ok(probed) if download.has_keys() || download.anonymous => {
            Some(downloads::check(settings, probed).await)
        }
        _ => None,
    };
    let removed = match &probed {
        Ok(probed) => objects::remove(settings, probed).await,
        Err(error) => Err(chain(error.as_ref()).into()),
    };
    let snapshots = parts.note("snapshots", removed, Clone::clone);
    let probed = probed.ok().filter(|_| snapshots.is_some());
    if let Some(downloads) = downloads {
        parts.note("downloads", downloads, Clone::clone);
    }
    if let Some(certificate) = certificate::check(&settings.serve).transpose() {
        parts.note("certificate", certificate, Clone::clone);
    }
    let catalog = catalog::check(settings).await;
    let catalog = parts.note("catalog", catalog, |found| found.told.clone());
    if !settings.broker.is_memory() {
        let broker = survey_broker(settings).await;
        if parts.note("broker", broker, Clone::clone).is_some() {
            check_policies(settings, &mut parts).await;
        }
    }
    if let Some(login) = login::check(settings).await {
        parts.note("login", login, Clone::clone);
    }
    let clocks = clock::check(
        settings,
        probed.as_ref().and_then(|probed| probed.clock),
        catalog.as_ref().and_then(|found| found.clock),
    );
    parts.note("clock", clocks.await, Clone::clone);
    let largest = catalog.and_then(|found| found.largest);
    check_worker(settings, largest, first, probed, &mut parts).await;
    parts.0
}

/// Checks what RabbitMQ makes of the queues.
async fn check_policies(settings: &Settings, parts: &mut Parts) {
    let untried = match policies::check(&settings.broker).await {
        Ok(Policies::Untried(why)) => why,
        Ok(Policies::Fine(told)) => {
            parts.note("policies", Ok(told), Clone::clone);
            return;
        }
        Err(error) => {
            parts.note("policies", Err(error), String::clone);
            return;
        }
    };
    parts.untried("policies", untried);
}

/// Checks what a worker on this machine needs.
async fn check_worker(
    settings: &Settings,
    largest: Option<u64>,
    first: Option<Store>,
    probed: Option<Probed>,
    parts: &mut Parts,
) {
    if settings.powersync.endpoint.is_empty() {
        parts.untried(
            "powersync",
            "not tried: this machine has no settings for a worker",
        );
        return;
    }
    parts.note("token", worker::token(settings), Clone::clone);
    match worker::unusable(&settings.worker.directory) {
        // On a cluster, only workers need it.
        Some(reason) if !settings.broker.is_memory() => {
            parts.untried(
                "powersync",
                format!("not tried: this is no machine for a worker: {reason}"),
            );
            return;
        }
        _ => parts.note("disk", worker::room(settings, largest), Clone::clone),
    };
    let snapshots = probed.map(|probed| probed.snapshots);
    match (first, snapshots) {
        (Some(store), Some(snapshots)) => {
            let probed = probe(settings, store, snapshots).await;
            let probed = parts.note("powersync", probed, |(told, _)| told.clone());
            if let Some((_, probe)) = probed
                && !settings.streams.is_empty()
            {
                parts.note("streams", subscribed(settings, &probe), Clone::clone);
            }
        }
        _ => parts.skip(
            "powersync",
            "not tried: it takes a store and a place for snapshots",
        ),
    }
}

/// What the list of stores has.
struct Listed {
    first: Store,
    /// All of a file; a database is not asked for more than its first.
    count: Option<u64>,
}

impl Listed {
    fn told(&self, source: &StoreSource) -> String {
        let (name, first) = (source.name(), &self.first.scope.store_id);
        match self.count {
            Some(count) => format!("{name}: {}, the first is {first}", counted(count, "store")),
            None => format!("{name}: the first is {first}"),
        }
    }
}

/// Reads the first store, and all of a file: whether each store is there once costs little.
async fn listed(settings: &Settings, source: &StoreSource) -> Checked<Listed> {
    let mut stores = source.stores(DateTime::UNIX_EPOCH);
    let first = stores.next().await;
    let first = first.ok_or_else(|| format!("no stores: {} lists none", source.name()))??;
    let maker = job_maker(settings)?;
    maker.check(&first.scope)?;
    if source.db_system().is_some() {
        return Ok(Listed { first, count: None });
    }
    let mut seen = HashMap::from([(first.scope.store_id.clone(), first.position)]);
    while let Some(store) = stores.next().await {
        let store = store?;
        maker.check(&store.scope)?;
        let (store_id, position) = (store.scope.store_id, store.position);
        if let Some(before) = seen.insert(store_id.clone(), position) {
            return Err(format!(
                "{}: the store {store_id} is listed twice, at {before} and at {position}; remove one of them",
                source.name()
            )
            .into());
        }
    }
    let count = Some(seen.len() as u64);
    Ok(Listed { first, count })
}

/// Looks at the broker, and at whether programs may declare there what they use.
async fn survey_broker(settings: &Settings) -> Checked<String> {
    let survey = broker::survey(&settings.broker).await?;
    let url = &settings.broker.url;
    if let Some(trouble) = survey.trouble {
        return Err(format!("{url}: {trouble}").into());
    }
    let messages = format!(
        "{} waiting, {} parked",
        counted(survey.waiting, "job"),
        survey.parked
    );
    let queues = counted(survey.missing as u64, "queue");
    Ok(match survey.missing {
        0 => format!("{url}: {messages}"),
        missing if missing == broker::declared_queues().len() => {
            format!("{url}: no queues yet; the first run makes them, and may")
        }
        _ => format!("{url}: {messages}; {queues} will be made by the next start, which may"),
    })
}

async fn probe(
    settings: &Settings,
    store: Store,
    snapshots: SnapshotRepository,
) -> Checked<(String, Probe)> {
    let broker = Arc::new(MemoryBroker::default());
    let worker = Worker::new(&settings.worker_settings(), snapshots, broker)?;
    let start = Start::Full(FullReason::Off);
    let job = job_maker(settings)?.make(RunId::new(), JobId::new(), store.scope, start)?;
    let probe = worker.probe(&job).await?;
    let told = format!(
        "{}: the store {} has {}, last op {}",
        settings.powersync.endpoint,
        job.scope.store_id,
        counted(probe.checkpoint.buckets.len() as u64, "bucket"),
        probe.checkpoint.last_op_id
    );
    Ok((told, probe))
}

/// Finds configured subscriptions that select nothing of the probed store. The service gives a bucket without rows to
/// one that only matches no row, so this one has a wrong parameter.
fn subscribed(settings: &Settings, probe: &Probe) -> Checked<String> {
    let configured = settings.streams.len();
    if probe.without_bucket.is_empty() {
        let configured = counted(configured as u64, "subscription");
        return Ok(format!("{configured}, each has a bucket"));
    }
    Err(format!(
        "of {} in [[streams]], these select no bucket: {}; is a parameter misspelt?",
        counted(configured as u64, "subscription"),
        probe.without_bucket.join("; ")
    )
    .into())
}

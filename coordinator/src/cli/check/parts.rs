//! Checks that every part is configured, reachable and usable. Leaves nothing behind.

use std::sync::Arc;

use chrono::DateTime;
use futures::StreamExt;
use seedbed_protocol::{
    JobId, RunId,
    broker::{self, MemoryBroker, Queue},
    manifest::FullReason,
    message::Start,
    snapshots::SnapshotRepository,
};
use seedbed_worker::{Probe, Worker};

use super::{
    clock,
    directories::{RemoveNewDirectories, catalog_directory, snapshot_directory},
    downloads,
    report::{Checked, PartCheck, Parts},
};
use crate::{
    catalog::{self, Catalog},
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
    let first = parts.note("stores", first_store(settings, source).await, |store| {
        format!("{}: the first is {}", source.name(), store.scope.store_id)
    });
    let snapshots = parts.note(
        "snapshots",
        open_snapshots(settings).await,
        |(_, lacking)| {
            let did = format!("{}: written, read and deleted", settings.snapshots.url);
            [&[did], &lacking[..]].concat().join("; ")
        },
    );
    let snapshots = snapshots.map(|(snapshots, _)| snapshots);
    let download = &settings.download;
    if download.has_keys() || download.anonymous {
        parts.note("downloads", downloads::check(settings).await, Clone::clone);
    }
    parts.note("catalog", open_catalog(settings).await, Clone::clone);
    if !settings.broker.is_memory() {
        parts.note("broker", open_broker(settings).await, Clone::clone);
    }
    parts.note("clock", clock::check(settings).await, Clone::clone);
    match (first, snapshots) {
        _ if settings.powersync.endpoint.is_empty() => parts.0.push(PartCheck {
            part: "powersync",
            ok: true,
            detail: "not tried: this machine has no settings for a worker".to_owned(),
        }),
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
    parts.0
}

async fn first_store(settings: &Settings, source: &StoreSource) -> Checked<Store> {
    let first = source.stores(DateTime::UNIX_EPOCH).next().await;
    let store = first.ok_or_else(|| format!("no stores: {} lists none", source.name()))??;
    job_maker(settings)?.check(&store.scope)?;
    Ok(store)
}

/// Opens the place for snapshots, and says what its service lacks.
async fn open_snapshots(settings: &Settings) -> Checked<(SnapshotRepository, Vec<String>)> {
    let snapshots = SnapshotRepository::open(&settings.snapshots)?;
    snapshots.check().await?;
    let lacking = snapshots.limitations().await?;
    Ok((snapshots, lacking.into_iter().map(str::to_owned).collect()))
}

/// Opens the catalog if there is one; otherwise checks that it could be made.
async fn open_catalog(settings: &Settings) -> Checked<String> {
    let url = settings.catalog.url.expose();
    let name = catalog::name_of(url);
    if Catalog::exists(url).await? {
        let catalog = Catalog::open_existing(url).await?;
        let runs = catalog.runs(1).await?;
        catalog.close().await;
        return Ok(match runs.first() {
            Some(run) => format!(
                "{name}: last run {} {}",
                run.started_at.to_rfc3339(),
                run.state
            ),
            None => format!("{name}: no runs yet"),
        });
    }
    if let Some(directory) = catalog_directory(settings) {
        let cannot_make = |e: std::io::Error| {
            format!(
                "{name}: cannot be made in {} (catalog.url): {e}",
                directory.display()
            )
        };
        std::fs::create_dir_all(&directory).map_err(cannot_make)?;
        tempfile::NamedTempFile::new_in(&directory).map_err(cannot_make)?;
    }
    Ok(format!(
        "{name}: does not exist yet; the first run makes it"
    ))
}

/// Connects to the broker and declares its queues, as every program does that uses it.
async fn open_broker(settings: &Settings) -> Checked<String> {
    let broker = broker::connect(&settings.broker).await?;
    let waiting = broker.waiting(Queue::Jobs).await?;
    let parked = broker.waiting(Queue::ParkedJobs).await?;
    let trouble = broker.probe().await;
    broker.close().await;
    if let Some(trouble) = trouble {
        return Err(format!("{}: {trouble}", settings.broker.url).into());
    }
    Ok(format!(
        "{}: {waiting} jobs are waiting, {parked} are parked",
        settings.broker.url
    ))
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
        "{}: the store {} has {} buckets, last op {}",
        settings.powersync.endpoint,
        job.scope.store_id,
        probe.checkpoint.buckets.len(),
        probe.checkpoint.last_op_id
    );
    Ok((told, probe))
}

/// Finds configured subscriptions that select nothing of the probed store. The service gives a bucket without rows to
/// one that only matches no row, so this one has a wrong parameter.
fn subscribed(settings: &Settings, probe: &Probe) -> Checked<String> {
    let configured = settings.streams.len();
    if probe.without_bucket.is_empty() {
        return Ok(format!("{configured} subscriptions, each has a bucket"));
    }
    Err(format!(
        "of {configured} subscriptions in [[streams]], these select no bucket: {}; is a parameter misspelt?",
        probe.without_bucket.join("; ")
    )
    .into())
}

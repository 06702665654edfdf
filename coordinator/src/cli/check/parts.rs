//! `seedbed check`: is every part configured, reachable and usable? Leaves nothing behind.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::DateTime;
use futures::StreamExt;
use seedbed_protocol::{
    JobId, RunId,
    broker::{self, MemoryBroker, Queue},
    snapshots::SnapshotStore,
};
use seedbed_worker::Worker;
use serde::Serialize;

use super::{clock, downloads};
use crate::{
    catalog::{self, Catalog},
    runs::{list::Selection, publish::seed_job},
    settings::root::Settings,
    source::record::{Store, StoreSource},
};

/// What came of the check of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartCheck {
    /// The part.
    pub part: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// What was found, or what is wrong and what to do about it.
    pub detail: String,
}

pub(crate) type Checked<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Checks each part that seeding needs, in the order in which it needs them.
pub async fn check(settings: &Settings, source: &StoreSource) -> Vec<PartCheck> {
    let mut parts = Parts(Vec::new());
    let _clean = RemoveNewDirectories::of([
        catalog_directory(settings),
        snapshot_directory(settings),
        Some(settings.worker.directory.clone()),
    ]);
    let first = parts.note("stores", first_store(settings, source).await, |store| {
        format!("{}: the first is {}", source.name(), store.scope.store_id)
    });
    let snapshots = parts.note("snapshots", open_snapshots(settings).await, |_| {
        format!("{}: written, read and deleted", settings.snapshots.url)
    });
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
            parts.note("powersync", probed, Clone::clone);
        }
        _ => parts.skip(
            "powersync",
            "not tried: it takes a store and a place for snapshots",
        ),
    }
    parts.0
}

struct Parts(Vec<PartCheck>);

impl Parts {
    fn note<T>(
        &mut self,
        part: &'static str,
        checked: Checked<T>,
        detail: impl Fn(&T) -> String,
    ) -> Option<T> {
        let (ok, detail) = match &checked {
            Ok(found) => (true, detail(found)),
            Err(error) => (false, crate::cli::args::chain(error.as_ref())),
        };
        self.0.push(PartCheck { part, ok, detail });
        checked.ok()
    }

    fn skip(&mut self, part: &'static str, detail: &str) {
        let detail = detail.to_owned();
        self.0.push(PartCheck {
            part,
            ok: false,
            detail,
        });
    }
}

async fn first_store(settings: &Settings, source: &StoreSource) -> Checked<Store> {
    let first = source.stores(DateTime::UNIX_EPOCH).next().await;
    let store = first.ok_or_else(|| format!("no stores: {} lists none", source.name()))??;
    Selection::of(&store.scope, settings)
        .map_err(|(setting, error)| format!("{setting}: {error}"))?;
    Ok(store)
}

async fn open_snapshots(settings: &Settings) -> Checked<SnapshotStore> {
    let snapshots = SnapshotStore::open(&settings.snapshots)?;
    snapshots.check().await?;
    Ok(snapshots)
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

/// Where the file of an SQLite catalog is to be.
fn catalog_directory(settings: &Settings) -> Option<PathBuf> {
    let url = settings.catalog.url.expose();
    let file = url.starts_with("sqlite:").then(|| catalog::file_of(url))?;
    let directory = file.parent().unwrap_or(Path::new(""));
    Some(match directory.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => directory.to_owned(),
    })
}

/// Connects to the broker and declares its queues, as every program does that uses it.
async fn open_broker(settings: &Settings) -> Checked<String> {
    let broker = broker::connect(&settings.broker).await?;
    let waiting = broker.waiting(Queue::Jobs).await?;
    let parked = broker.waiting(Queue::ParkedJobs).await?;
    broker.close().await;
    Ok(format!(
        "{}: {waiting} jobs are waiting, {parked} are parked",
        settings.broker.url
    ))
}

async fn probe(settings: &Settings, store: Store, snapshots: SnapshotStore) -> Checked<String> {
    let broker = Arc::new(MemoryBroker::default());
    let worker = Worker::new(&settings.worker_settings(), snapshots, broker)?;
    let selection = Selection::of(&store.scope, settings)
        .map_err(|(setting, error)| format!("{setting}: {error}"))?;
    let job = seed_job(settings, RunId::new(), JobId::new(), store.scope, selection);
    let checkpoint = worker.probe(&job).await?.checkpoint;
    Ok(format!(
        "{}: the store {} has {} buckets, last op {}",
        settings.powersync.endpoint,
        job.scope.store_id,
        checkpoint.buckets.len(),
        checkpoint.last_op_id
    ))
}

fn snapshot_directory(settings: &Settings) -> Option<PathBuf> {
    let path = settings.snapshots.url.strip_prefix("file:")?;
    Some(path.strip_prefix("//").unwrap_or(path).into())
}

/// Removes the directories that did not exist before, if nothing is in them.
struct RemoveNewDirectories(Vec<PathBuf>);

impl RemoveNewDirectories {
    fn of(directories: impl IntoIterator<Item = Option<PathBuf>>) -> Self {
        let mut missing: Vec<PathBuf> = Vec::new();
        for directory in directories.into_iter().flatten() {
            let ancestors = directory.ancestors();
            let new = ancestors.filter(|a| !a.as_os_str().is_empty() && !a.exists());
            missing.extend(new.map(Path::to_owned));
        }
        // The deepest first.
        missing.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        missing.dedup();
        Self(missing)
    }
}

impl Drop for RemoveNewDirectories {
    fn drop(&mut self) {
        for directory in &self.0 {
            // Refused when somebody has put something in meanwhile, which is right.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

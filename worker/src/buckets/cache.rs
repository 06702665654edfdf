//! What one worker has of the cache, and who fills what.

mod start;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use seedbed_protocol::{objects::StorageError, snapshots::SnapshotRepository};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use super::{
    candidates::Candidates,
    entry::{Entry, EntryError},
    fill::Filled,
    lease::{Lease, Leased},
    near::{CachedFile, Kept, Near, holds},
    shared::Shared,
    template::{Choice, Preparing, Shelf},
};
use crate::{metrics::Metrics, oplog::Schema, settings::WorkerSettings};

/// How often a worker looks for what others have added.
const REFRESH: Duration = Duration::from_secs(10);

/// How often a worker that waits for another one looks whether it is done.
const POLL: Duration = Duration::from_millis(250);

/// How the names of files with lines end.
const LINES: &str = "lines";

/// The most positions that a request claims.
const MOST_CLAIMED: usize = 500;

/// The bucket cache of one worker.
pub(crate) struct BucketCache {
    endpoint: String,
    keep: Duration,
    min_operations: u64,
    near: Mutex<Near>,
    pub(super) templates: Shelf,
    candidates: Mutex<Candidates>,
    filling: Mutex<HashMap<String, watch::Receiver<()>>>,
    shared: Option<Arc<Shared>>,
    refreshed: tokio::sync::Mutex<Option<Instant>>,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

/// Of what a worker keeps, so much may be templates.
const TEMPLATES_ONE_IN: u64 = 2;

impl BucketCache {
    /// Returns a cache for jobs with this schema that keeps its files in `directory`; `None` if it is off. There is a shared
    /// level if there is a secret, unless every object with rows is to be encrypted.
    pub(crate) fn new(
        settings: &WorkerSettings,
        repository: SnapshotRepository,
        (directory, schema): (PathBuf, &Schema),
        metrics: Arc<Metrics>,
    ) -> Option<Arc<Self>> {
        let config = &settings.buckets;
        if !config.enabled {
            return None;
        }
        let endpoint = &settings.powersync.endpoint;
        let secret = config.secret.as_ref();
        let secret = secret.filter(|_| !settings.snapshots.sealed);
        let shared = secret.map(|secret| {
            let times = (config.keep, config.lease);
            Arc::new(Shared::new(repository, endpoint, secret, times))
        });
        let most_bytes = u64::from(config.worker_mib) << 20;
        let preparing = Preparing::new(schema.clone(), &settings.worker);
        let choice = Choice::new(most_bytes / TEMPLATES_ONE_IN, config.prepare_from);
        let templates = Shelf::new(choice, preparing, metrics.clone());
        Some(Arc::new(Self {
            endpoint: endpoint.clone(),
            keep: config.keep,
            min_operations: config.min_operations,
            near: Mutex::new(Near::new(directory, most_bytes)),
            templates,
            candidates: Mutex::default(),
            filling: Mutex::default(),
            shared,
            refreshed: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            metrics,
        }))
    }

    /// Waits until everything that was kept is stored.
    pub(crate) async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    fn near(&self) -> MutexGuard<'_, Near> {
        self.near.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn candidates(&self) -> MutexGuard<'_, Candidates> {
        self.candidates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn filling(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<()>>> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for what other workers have added: the first time at once, then now and then, behind the back of the job.
    pub(super) async fn refresh(self: &Arc<Self>) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        let mut refreshed = self.refreshed.lock().await;
        match *refreshed {
            Some(at) if at.elapsed() < REFRESH => return,
            Some(_) => {
                let cache = self.clone();
                self.tasks.spawn(async move { cache.read(&shared).await });
            }
            None => self.read(&shared).await,
        }
        *refreshed = Some(Instant::now());
    }

    async fn read(&self, shared: &Shared) {
        match shared.written().await {
            Ok((entries, dropped)) => {
                for entry in entries {
                    self.learn(entry);
                }
                for error in dropped {
                    self.metrics.bucket_dropped(error.name());
                }
            }
            Err(error) => debug!("cannot read the bucket cache: {error}"),
        }
    }

    /// Takes in an entry of the shared level, unless this worker has the same.
    fn learn(&self, entry: Entry) {
        let mut near = self.near();
        let known = near.get(&entry.bucket);
        if known.is_none_or(|known| known.entry.content != entry.content) {
            near.insert(entry, None);
        }
    }

    /// Returns what a request may claim.
    pub(super) fn claims(&self) -> Vec<Kept> {
        let mut near = self.near();
        near.forget(|entry| entry.is_older_than(self.keep));
        self.templates
            .forget(|bucket| near.peek(bucket).map(|kept| kept.entry));
        near.latest(MOST_CLAIMED)
    }

    /// Returns the lines of an entry, whose digest was compared.
    ///
    /// # Errors
    /// [`EntryError::Content`]
    pub(super) async fn lines(&self, kept: &Kept) -> Result<Arc<CachedFile>, EntryError> {
        let entry = kept.entry.clone();
        let file = match &kept.file {
            Some(file) => file.clone(),
            None => {
                let shared = self.shared.as_ref().ok_or(EntryError::Content)?;
                let file = self.new_file();
                let file = file.map_err(|_| EntryError::Content)?;
                shared.fetch(&entry, file.path()).await?;
                Arc::new(file)
            }
        };
        let checked = file.clone();
        let checking = tokio::task::spawn_blocking(move || holds(&checked, &entry));
        if !checking.await.unwrap_or(false) {
            return Err(EntryError::Content);
        }
        let mut near = self.near();
        let bucket = &kept.entry.bucket;
        match near.get(bucket) {
            Some(known) if known.entry == kept.entry && known.file.is_none() => {
                near.insert(known.entry, Some(file.clone()));
            }
            _ => {}
        }
        Ok(file)
    }

    /// Counts an entry that a store was given.
    pub(super) fn used(&self, entry: &Entry) {
        self.near().get(&entry.bucket);
        self.candidates().used(&entry.bucket);
        self.metrics
            .bucket_used(entry.operations, entry.content.bytes);
    }

    /// Removes an entry that is of no use.
    pub(super) fn drop_entry(self: &Arc<Self>, bucket: &str, error: EntryError) {
        info!("an entry of the bucket cache is dropped: {error}");
        self.metrics.bucket_dropped(error.name());
        let removed = self.near().remove(bucket);
        let is_stored = removed.is_none_or(|kept| kept.entry.stored.is_some());
        if let Some(shared) = self.shared.clone().filter(|_| is_stored) {
            let bucket = bucket.to_owned();
            self.tasks
                .spawn(async move { shared.remove(&bucket).await });
        }
    }

    /// Returns whether the operations of a bucket of `store` are kept, of which the service says that it has so many.
    pub(super) fn is_candidate(&self, bucket: &str, operations: u64, store: &str) -> bool {
        operations >= self.min_operations && self.candidates().is_one(bucket, store)
    }

    /// Begins to fill the entries of these buckets; or returns what to wait for, if there are some already, or others fill
    /// them. `anew` are those whose entries are of no use.
    pub(super) async fn begin(
        self: &Arc<Self>,
        buckets: &[String],
        anew: &HashSet<String>,
    ) -> Result<Vec<Filler>, Wait> {
        let mut fillers = Vec::new();
        let mut busy = Vec::new();
        for bucket in buckets {
            match self.begin_here(bucket) {
                Ok(filler) => fillers.push(filler),
                Err(done) => busy.push(done),
            }
        }
        if !busy.is_empty() {
            return Err(Wait::Here(busy));
        }
        for filler in &mut fillers {
            let known = self.near().peek(&filler.bucket).is_some();
            if known && !anew.contains(&filler.bucket) {
                return Err(Wait::Not);
            }
            let Some(shared) = &self.shared else {
                continue;
            };
            match self.begin_shared(shared, &filler.bucket, anew).await {
                Ok(Leased::Mine(lease)) => filler.lease = Some(lease),
                Ok(Leased::Other) => return Err(Wait::There(filler.bucket.clone())),
                Ok(Leased::Done) => return Err(Wait::Not),
                // Then it is this worker's alone.
                Err(error) => debug!("cannot use the bucket cache: {error}"),
            }
        }
        for filler in &fillers {
            self.candidates().keeps(&filler.bucket);
        }
        Ok(fillers)
    }

    fn begin_here(self: &Arc<Self>, bucket: &str) -> Result<Filler, watch::Receiver<()>> {
        let mut filling = self.filling();
        if let Some(done) = filling.get(bucket) {
            return Err(done.clone());
        }
        let (done, waiting) = watch::channel(());
        filling.insert(bucket.to_owned(), waiting);
        Ok(Filler {
            cache: self.clone(),
            bucket: bucket.to_owned(),
            lease: None,
            _done: done,
        })
    }

    async fn begin_shared(
        &self,
        shared: &Shared,
        bucket: &str,
        anew: &HashSet<String>,
    ) -> Result<Leased, StorageError> {
        if !anew.contains(bucket) {
            match shared.find(bucket).await? {
                Ok(Some(entry)) => {
                    self.learn(entry);
                    return Ok(Leased::Done);
                }
                Ok(None) => {}
                Err(error) => self.metrics.bucket_dropped(error.name()),
            }
        }
        let lease = shared.lease(bucket).await?;
        Ok(lease.map_or(Leased::Other, |lease| Leased::Mine(Box::new(lease))))
    }

    /// Waits until another job, or another worker, is done with what it fills, or has given up.
    pub(super) async fn wait(&self, wait: Wait) {
        match wait {
            Wait::Not => {}
            Wait::Here(busy) => {
                for mut done in busy {
                    // It only ever ends.
                    let _ = done.changed().await;
                }
            }
            Wait::There(bucket) => {
                let Some(shared) = &self.shared else {
                    return;
                };
                while let Ok(true) = shared.is_leased(&bucket).await {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    /// Returns a new file for lines.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub(super) fn new_file(&self) -> std::io::Result<CachedFile> {
        self.near().new_file(LINES)
    }

    /// Keeps a filled bucket: here at once, in the repository behind the back of the job.
    pub(super) fn keep(self: &Arc<Self>, bucket: &str, filled: Filled, filler: Option<Filler>) {
        let Filled {
            file,
            position,
            operations,
            content,
        } = filled;
        self.metrics.bucket_filled();
        let mut entry = Entry::new(&self.endpoint, bucket, position, operations, content);
        let file = Arc::new(file);
        self.near().insert(entry.clone(), Some(file.clone()));
        let lease = filler.and_then(|mut filler| filler.lease.take());
        let Some(shared) = self.shared.clone() else {
            return;
        };
        let cache = self.clone();
        self.tasks.spawn(async move {
            match shared.publish(&mut entry, file.path()).await {
                Ok(()) => cache.near().insert(entry, Some(file)),
                Err(error) => debug!("cannot fill the bucket cache: {error}"),
            }
            drop(lease);
        });
    }

    /// Runs something that [`Self::settled`] waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }
}

/// What has to end before a request is worth while.
pub(super) enum Wait {
    /// Nothing: there is an entry.
    Not,
    /// Jobs of this worker.
    Here(Vec<watch::Receiver<()>>),
    /// Another worker, which fills this bucket.
    There(String),
}

/// The one job that fills the entry of a bucket; the others go on when this is dropped.
pub(super) struct Filler {
    cache: Arc<BucketCache>,
    pub(super) bucket: String,
    lease: Option<Box<Lease>>,
    _done: watch::Sender<()>,
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.cache.filling().remove(&self.bucket);
    }
}

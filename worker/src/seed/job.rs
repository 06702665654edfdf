//! One attempt at a job, from top to bottom: reuse the base or download every row, then scrub, vacuum, verify, upload.

mod check;
mod outcome;

use std::{borrow::Cow, sync::Arc};

use chrono::Utc;
use opentelemetry::KeyValue;
use seedbed_protocol::{
    manifest::{Checkpoint, Download, FullReason, Manifest, Notes, Origin},
    message::{BaseSnapshot, SeedJob, Start},
    snapshots::{SnapshotRepository, UnreadableRowsPolicy},
    telemetry::trace::trace_id,
};
use tokio::sync::watch;
use tracing::{Span, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub(crate) use self::outcome::Seeded;
use self::{
    check::{hash, pages, verify},
    outcome::{Reused, VerifiedFile},
};
use super::{
    base::{BasePolicy, Reuse, blames_the_base},
    config_error::ConfigError,
    download::{Downloaded, Downloader},
    error::SeedError,
    forms::{Forms, selection},
    steps::{StepTimes, Steps, blocking},
    streams::{AGAIN_FILE, Begun, TEMPLATE_FILE},
    workdir::{JobDirectory, WorkDirectory},
};
use crate::{
    buckets::{BucketCache, TemplateError},
    metrics::{Counters, Metrics},
    oplog::{Schema, Synced, core_version},
    settings::WorkerSettings,
    snapshot::{Uploader, before::BasePages, is_in_order, scrub, write},
};

/// The file of a full download, in a job's directory.
const SYNC_FILE: &str = "sync.sqlite";

/// The fetched base, in a job's directory.
const BASE_FILE: &str = "base.sqlite";

/// The file to upload, in a job's directory.
const SNAPSHOT_FILE: &str = "snapshot.sqlite";

/// Seeds stores. Holds what every job needs and no job changes.
pub(crate) struct Seeder {
    downloader: Downloader,
    base_policy: BasePolicy,
    uploader: Uploader,
    schema: Schema,
    work: WorkDirectory,
    unreadable_rows: UnreadableRowsPolicy,
    forms: Forms,
    metrics: Arc<Metrics>,
}

impl Seeder {
    pub(crate) fn new(
        settings: &WorkerSettings,
        repository: SnapshotRepository,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        let schema = Schema::load(settings.schema.file.as_deref())?;
        let work = WorkDirectory::open(&settings.worker.directory)?;
        let buckets = BucketCache::new(
            settings,
            repository.clone(),
            (work.buckets(), &schema),
            metrics.clone(),
        );
        Ok(Self {
            downloader: Downloader::new(settings, schema.clone(), buckets, metrics.clone())?,
            base_policy: BasePolicy {
                endpoint: settings.powersync.endpoint.clone(),
                core_version: core_version().map_err(ConfigError::Core)?,
                schema_fingerprint: schema.fingerprint(),
                subscription_ttl: settings.schema.subscription_ttl,
                base_cost: settings.worker.base_cost,
                whole_every: settings.verify.whole_every,
            },
            uploader: Uploader::new(repository, &settings.snapshots),
            schema,
            work,
            unreadable_rows: settings.snapshots.unreadable_rows,
            forms: Forms::new(settings),
            metrics,
        })
    }

    /// Tells how many jobs wait for the service's limit of streams.
    pub(crate) fn waiting(&self) -> watch::Receiver<u16> {
        self.downloader.waiting()
    }

    /// Returns the counters of all downloads.
    pub(crate) fn progress(&self) -> Arc<Counters> {
        self.downloader.progress()
    }

    /// Opens the stream that `job` would sync and reads its first checkpoint, but no data. Also returns the explicit
    /// subscriptions that select no bucket.
    ///
    /// # Errors
    /// The error that the job would fail with.
    pub(crate) async fn probe(
        &self,
        job: &SeedJob,
    ) -> Result<(Checkpoint, Vec<String>), SeedError> {
        let probed = self.downloader.probe(job).await?;
        Ok((probed.checkpoint, probed.without_bucket))
    }

    /// Seeds the job's store. When this returns a manifest, a verified snapshot and that manifest are in the
    /// repository. Otherwise, also when the process is killed, no manifest refers to anything that was made. `times` tells
    /// what the time goes into.
    pub(crate) async fn seed(&self, job: &SeedJob, times: &StepTimes) -> Result<Seeded, SeedError> {
        let mut attempt = Attempt::new(self, job, times);
        let because = match &job.start {
            Start::Full(because) => *because,
            Start::Base(base) => match attempt.reuse(base).await? {
                Reused::Unchanged(checkpoint) => {
                    return Ok(Seeded::Unchanged {
                        base: base.clone(),
                        checkpoint,
                        download: attempt.download,
                    });
                }
                Reused::Verified(file) => {
                    let origin = Origin::Base {
                        job_id: base.job_id,
                        full_at: base.full_at,
                        loose_operations: file.loose_operations,
                    };
                    return attempt.upload(*file, origin).await;
                }
                Reused::Nothing(because) => because,
            },
        };
        let file = attempt.download_in_full().await?;
        attempt.upload(file, Origin::Full { because }).await
    }

    /// Waits until the uploads of abandoned jobs have ended or removed what they stored, and what the bucket cache keeps is
    /// stored.
    pub(crate) async fn uploads_ended(&self) {
        self.downloader.kept().await;
        self.uploader.settled().await;
    }
}

/// An attempt at a job, under way.
struct Attempt<'a> {
    seeder: &'a Seeder,
    job: &'a SeedJob,
    steps: Steps<'a>,
    download: Download,
}

impl<'a> Attempt<'a> {
    fn new(seeder: &'a Seeder, job: &'a SeedJob, times: &'a StepTimes) -> Self {
        Self {
            seeder,
            job,
            steps: Steps::new(&seeder.metrics, times),
            download: Download::default(),
        }
    }

    /// Tries to reuse `base`. If the base itself may be at fault, this is not an error: every row is downloaded
    /// instead.
    async fn reuse(&mut self, base: &BaseSnapshot) -> Result<Reused, SeedError> {
        let Some(base) = &self.whole(base).await else {
            return Ok(Reused::Nothing(FullReason::BaseFile));
        };
        let Seeder {
            downloader,
            base_policy,
            uploader,
            ..
        } = self.seeder;
        let judging = base_policy.judge(self.job, base, downloader, uploader);
        let (reuse, download) = self.steps.run("compare", judging).await?;
        self.download += download;
        match reuse {
            Reuse::Unchanged(checkpoint) => Ok(Reused::Unchanged(checkpoint)),
            Reuse::Nothing(because) => Ok(Reused::Nothing(because)),
            Reuse::Resume(target) => match self.resume(base, &target).await {
                Ok(file) => Ok(Reused::Verified(Box::new(file))),
                Err(error) => {
                    let Some(because) = blames_the_base(&error) else {
                        return Err(error);
                    };
                    info!("downloading all rows: {error}");
                    let why = KeyValue::new("seedbed.why", because.name());
                    let reason = KeyValue::new("seedbed.reason", error.to_string());
                    Span::current().add_event("start over", vec![why, reason]);
                    Ok(Reused::Nothing(because))
                }
            },
        }
    }

    /// Returns `base` with all buckets, which the manifest has if the message has not; `None`, and a word in the log, if
    /// they are nowhere.
    async fn whole<'b>(&self, base: &'b BaseSnapshot) -> Option<Cow<'b, BaseSnapshot>> {
        if base.checkpoint.is_whole() {
            return Some(Cow::Borrowed(base));
        }
        match self.seeder.uploader.checkpoint_of(base).await {
            Ok(checkpoint) => Some(Cow::Owned(BaseSnapshot {
                checkpoint,
                ..base.clone()
            })),
            Err(error) => {
                info!("downloading all rows: {error}");
                None
            }
        }
    }

    /// Fetches `base` and adds what has changed up to `target`.
    async fn resume(
        &mut self,
        base: &BaseSnapshot,
        target: &Checkpoint,
    ) -> Result<VerifiedFile, SeedError> {
        let Seeder {
            base_policy,
            uploader,
            ..
        } = self.seeder;
        let judging = base_policy.checks_changes(self.job, base, target, uploader);
        let by_changes = judging.await;
        let directory = self.directory()?;
        let file = directory.file(BASE_FILE);
        let fetching = async {
            let fetched = self.seeder.uploader.fetch(base, &file).await;
            fetched.map_err(SeedError::Base)
        };
        self.steps.run("fetch", fetching).await?;
        let reading = async {
            match by_changes {
                true => pages(file.clone()).await.map(Some),
                false => Ok(None),
            }
        };
        let downloading = self
            .seeder
            .downloader
            .resume(self.job, file.clone(), by_changes);
        let syncing = async {
            // Both at the same time: the file stays as it is.
            let (downloaded, pages) = tokio::join!(downloading, reading);
            Ok::<_, SeedError>((downloaded?, pages?))
        };
        let (downloaded, pages) = self.steps.run("sync", syncing).await?;
        let loose_operations = base.loose_operations + downloaded.download.operations;
        self.finish(downloaded, Some(loose_operations), pages, directory)
            .await
    }

    /// Downloads every row; what began with a template of no use, once more without one.
    async fn download_in_full(&mut self) -> Result<VerifiedFile, SeedError> {
        let directory = self.directory()?;
        let (file, seeder, job) = (directory.file(SYNC_FILE), self.seeder, self.job);
        let checks_changes = !job.job_id.is_one_in(seeder.base_policy.whole_every);
        let downloading = seeder.downloader.download(job, file, checks_changes);
        let mut downloaded = self.steps.run("sync", downloading).await?;
        let Some(Begun { template, pages }) = downloaded.begun.take() else {
            return self.finish(downloaded, None, None, directory).await;
        };
        let all = downloaded.database.checkpoint.operations();
        let added = all.saturating_sub(template.operations());
        let loose = added.max(downloaded.download.operations);
        let finished = self.finish(downloaded, Some(loose), pages, directory).await;
        let Err(error) = finished else {
            return finished;
        };
        if blames_the_base(&error).is_none() {
            return Err(error);
        }
        let reason = KeyValue::new("seedbed.reason", error.to_string());
        Span::current().add_event("start over", vec![reason]);
        let error = TemplateError::Result(error.to_string());
        seeder.downloader.refuse(&template, &error);
        let directory = self.directory()?;
        let downloading = seeder
            .downloader
            .download_anew(job, directory.file(SYNC_FILE));
        let downloaded = self.steps.run("sync", downloading).await?;
        self.finish(downloaded, None, None, directory).await
    }

    fn directory(&self) -> Result<JobDirectory, SeedError> {
        let directory = self.seeder.work.job(self.job.job_id, self.job.attempt);
        Ok(directory?)
    }

    /// Turns a synced database into a verified file. `loose_operations` are those that were applied since a base was
    /// last written in order, and `pages` are those of a base whose changes alone are verified.
    async fn finish(
        &mut self,
        downloaded: Downloaded,
        loose_operations: Option<u64>,
        pages: Option<BasePages>,
        directory: JobDirectory,
    ) -> Result<VerifiedFile, SeedError> {
        self.download += downloaded.download;
        let mut notes = downloaded.notes();
        // The interrupt is held here, outside of the threads: they stop when this future is dropped.
        let Synced {
            connection,
            interrupt: _interrupt,
            checkpoint,
            dense,
            ..
        } = downloaded.database;
        let loose = loose_operations.filter(|loose| is_in_order(*loose, checkpoint.operations()));
        let dense = dense || loose.is_some();
        let scrubbing = blocking(move || scrub(&connection).map(|()| connection));
        let connection = self.steps.run("scrub", scrubbing).await?;
        let file = directory.file(SNAPSHOT_FILE);
        let target = file.clone();
        let vacuuming = blocking(move || write(connection, dense, pages, &target));
        let before = self.steps.run("vacuum", vacuuming).await?;
        // Other forms need the room of what it was made of.
        for made_of in [SYNC_FILE, BASE_FILE, TEMPLATE_FILE, AGAIN_FILE] {
            let _ = std::fs::remove_file(directory.file(made_of));
        }
        let (seeder, steps) = (self.seeder, &self.steps);
        let (schema, unreadable) = (&seeder.schema, seeder.unreadable_rows);
        // All of them read the same pages; what is made of a file that is refused goes with it.
        let hashing = hash(&file, before.is_none() && seeder.uploader.moves_files());
        let verifying = verify(&file, before, schema, &checkpoint, unreadable);
        let verifying = steps.run("verify", verifying);
        let forms = &seeder.forms;
        let making = forms.make(steps, self.job, &file, &directory, &checkpoint);
        let (verified, made, read) = tokio::join!(verifying, making, hashing);
        let (facts, hashed) = verified?;
        let comparing = forms.compare(made?, steps, schema, &file, &directory, &checkpoint);
        let mut files = comparing.await?;
        files.hashed = hashed.or(read?);
        notes.extend(facts.unreadable.iter().map(ToString::to_string));
        for note in &notes {
            warn!(store_id = %self.job.scope.store_id, "{note}");
        }
        Ok(VerifiedFile {
            _directory: directory,
            files,
            loose_operations: loose.unwrap_or_default(),
            checkpoint,
            facts,
            notes,
        })
    }

    async fn upload(self, file: VerifiedFile, origin: Origin) -> Result<Seeded, SeedError> {
        let Self {
            seeder,
            job,
            steps,
            download,
        } = self;
        let policy = &seeder.base_policy;
        let manifest = Manifest {
            run_id: job.run_id,
            job_id: job.job_id,
            store_id: job.scope.store_id.clone(),
            attempt: job.attempt,
            created_at: Utc::now(),
            powersync_endpoint: policy.endpoint.clone(),
            core_version: policy.core_version.clone(),
            internal_schema_version: file.facts.internal_schema_version,
            schema_fingerprint: policy.schema_fingerprint.clone(),
            selection_fingerprint: policy.selection_fingerprint(job),
            origin,
            checkpoint: file.checkpoint,
            tables: file.facts.tables,
            renditions: Vec::new(),
            download,
            steps: steps.timings(),
            trace_id: trace_id(&Span::current()),
            forms: Vec::new(),
            notes: Notes(file.notes),
            sealed: Vec::new(),
            sealed_key: None,
        };
        let selection = selection(job);
        let upload = (seeder.uploader).snapshot(&file.files, &selection, manifest);
        let manifest = steps.run("upload", upload).await?;
        Ok(Seeded::Snapshot(Box::new(manifest)))
    }
}

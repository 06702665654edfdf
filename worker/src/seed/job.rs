//! One job, from top to bottom.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use opentelemetry::KeyValue;
use rusqlite::Connection;
use seedbed_protocol::{
    message::{
        BaseSnapshot, Checkpoint, Download, FullReason, Manifest, Origin, SeedJob, Start,
        StepTiming,
    },
    snapshots::SnapshotStore,
    trace::trace_id,
};
use tracing::{Span, info};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    metrics::Metrics,
    oplog::log::{SyncedDatabase, core_version},
    oplog::schema::tables::Schema,
    powersync::client::PowerSyncClient,
    powersync::gate::StreamGate,
    powersync::token::TokenSigner,
    progress::Progress,
    seed::base::{Use, blames_the_base},
    seed::download::Synced,
    seed::error::{ConfigError, SeedError},
    seed::steps::try_step,
    seed::workdir::{JobDirectory, WorkDirectory},
    settings::WorkerSettings,
    snapshot::finish as snapshot,
    snapshot::upload::Upload,
    snapshot::verify::file::{self as verify, Expected, Verified},
};

/// Of a file's operations, at most one in so many may have been applied since it was last written in order.
const FEW_LOOSE: u64 = 50;

/// The file that is to be uploaded, in a job's directory.
const SNAPSHOT: &str = "snapshot.sqlite";

/// What every job needs and no job changes.
pub(crate) struct Seeder {
    pub(crate) powersync: PowerSyncClient,
    pub(crate) streams: StreamGate,
    pub(crate) signer: TokenSigner,
    pub(crate) schema: Schema,
    pub(crate) subscription_ttl: Duration,
    pub(crate) cache_kib: u32,
    pub(crate) load_memory_kib: Option<u32>,
    pub(crate) max_reconnects: u32,
    pub(crate) progress: Arc<Progress>,
    pub(crate) metrics: Metrics,
    /// What a byte of a base costs, one of a stream being 1.
    pub(crate) base_cost: f64,
    pub(crate) endpoint: String,
    pub(crate) core_version: String,
    pub(crate) snapshots: SnapshotStore,
    pub(crate) upload: Upload,
    work: WorkDirectory,
}

impl Seeder {
    pub(crate) fn new(
        settings: &WorkerSettings,
        snapshots: SnapshotStore,
    ) -> Result<Self, ConfigError> {
        let most_streams = settings.powersync.max_streams;
        let most_streams = most_streams.unwrap_or_else(|| settings.worker.slots());
        Ok(Self {
            powersync: PowerSyncClient::new(&settings.powersync)?,
            streams: StreamGate::new(most_streams),
            signer: TokenSigner::new(&settings.token)?,
            schema: Schema::load(settings.schema.file.as_deref())?,
            subscription_ttl: settings.schema.subscription_ttl,
            cache_kib: settings.worker.cache_mib.saturating_mul(1024),
            load_memory_kib: settings.worker.load_memory_kib(),
            max_reconnects: settings.powersync.max_reconnects,
            progress: Arc::default(),
            metrics: Metrics::new(),
            endpoint: settings.powersync.endpoint.clone(),
            core_version: core_version().map_err(ConfigError::Core)?,
            base_cost: settings.worker.base_cost,
            upload: Upload::new(snapshots.clone(), &settings.snapshots),
            snapshots,
            work: WorkDirectory::open(&settings.worker.directory)?,
        })
    }

    pub(crate) fn work(&self) -> &WorkDirectory {
        &self.work
    }

    /// Seeds the job's store: when this returns a manifest, a verified snapshot and that manifest are in the
    /// snapshot store. On every other path, a kill included, nothing refers to what was made.
    pub(crate) async fn seed(&self, job: &SeedJob) -> Result<Seeded, SeedError> {
        let mut work = Work::new(self, job);
        let because = match &job.start {
            Start::Full(because) => *because,
            Start::Base(base) => match work.start_from(base).await? {
                Started::Unchanged(checkpoint) => {
                    return Ok(Seeded::Unchanged {
                        base: base.clone(),
                        checkpoint,
                        download: work.download,
                    });
                }
                Started::Made(made) => {
                    let origin = Origin::Base {
                        job_id: base.job_id,
                        full_at: base.full_at,
                        loose_operations: made.loose_operations,
                    };
                    return work.upload(made, origin).await;
                }
                Started::Useless(because) => because,
            },
        };
        let made = work.make_in_full().await?;
        work.upload(made, Origin::Full { because }).await
    }

    /// Waits for what abandoned jobs are still moving, writing or taking back; nothing refers to it.
    pub(crate) async fn uploads_ended(&self) {
        self.upload.settled().await;
    }

    async fn verify(&self, file: &Path, checkpoint: &Checkpoint) -> Result<Verified, SeedError> {
        let snapshot = verify::Snapshot::open(file)?;
        let _interrupts = snapshot.interrupts();
        let (schema, checkpoint) = (self.schema.clone(), checkpoint.clone());
        let check = move || {
            let raw_tables = schema.raw_tables();
            Ok(snapshot.verify(&Expected {
                checkpoint: Some(&checkpoint),
                raw_tables,
            })?)
        };
        blocking(check).await
    }
}

/// What came of a job.
#[derive(Debug)]
pub(crate) enum Seeded {
    /// A new snapshot is in the store.
    Snapshot(Box<Manifest>),
    /// The base is what the service holds.
    Unchanged {
        base: Box<BaseSnapshot>,
        checkpoint: Checkpoint,
        download: Download,
    },
}

/// What came of starting from a base.
enum Started {
    Unchanged(Checkpoint),
    Made(Made),
    Useless(FullReason),
}

/// A verified file.
struct Made {
    directory: JobDirectory,
    /// Operations that were applied since the file was last written in order.
    loose_operations: u64,
    checkpoint: Checkpoint,
    verified: Verified,
}

/// One attempt at a job under way.
struct Work<'a> {
    seeder: &'a Seeder,
    job: &'a SeedJob,
    steps: Steps<'a>,
    download: Download,
}

impl<'a> Work<'a> {
    fn new(seeder: &'a Seeder, job: &'a SeedJob) -> Self {
        Self {
            seeder,
            job,
            steps: Steps::new(&seeder.metrics),
            download: Download::default(),
        }
    }

    /// Makes of `base` what it is good for. What may be its fault is no error.
    async fn start_from(&mut self, base: &BaseSnapshot) -> Result<Started, SeedError> {
        let judging = self.seeder.judge(self.job, base);
        let (good_for, download) = self.steps.run("compare", judging).await?;
        self.download += download;
        match good_for {
            Use::Unchanged(checkpoint) => return Ok(Started::Unchanged(checkpoint)),
            Use::Nothing(because) => return Ok(Started::Useless(because)),
            Use::Start => {}
        }
        match self.make_from(base).await {
            Ok(made) => Ok(Started::Made(made)),
            Err(error) => {
                let Some(because) = blames_the_base(&error) else {
                    return Err(error);
                };
                info!("downloading all rows: {error}");
                let why = KeyValue::new("seedbed.why", because.name());
                let reason = KeyValue::new("seedbed.reason", error.to_string());
                Span::current().add_event("start over", vec![why, reason]);
                Ok(Started::Useless(because))
            }
        }
    }

    async fn make_from(&mut self, base: &BaseSnapshot) -> Result<Made, SeedError> {
        let directory = self.directory()?;
        let fetching = self.seeder.fetch(base, &directory);
        let file = self.steps.run("fetch", fetching).await?;
        let syncing = self.seeder.go_on(self.job, file);
        let synced = self.steps.run("sync", syncing).await?;
        let loose_operations = base.loose_operations + synced.download.operations;
        self.finish(synced, Some(loose_operations), directory).await
    }

    async fn make_in_full(&mut self) -> Result<Made, SeedError> {
        let directory = self.directory()?;
        let syncing = self.seeder.sync(self.job, &directory);
        let synced = self.steps.run("sync", syncing).await?;
        self.finish(synced, None, directory).await
    }

    fn directory(&self) -> Result<JobDirectory, SeedError> {
        let directory = self.seeder.work.job(self.job.job_id, self.job.attempt);
        Ok(directory?)
    }

    /// From a synced database to a verified file. `loose_operations` are those that were applied since a base was last
    /// written in order.
    async fn finish(
        &mut self,
        synced: Synced,
        loose_operations: Option<u64>,
        directory: JobDirectory,
    ) -> Result<Made, SeedError> {
        let Synced {
            database,
            checkpoint,
            download,
        } = synced;
        self.download += download;
        // Held here, outside of the threads: when this future is dropped, they stop.
        let SyncedDatabase {
            connection,
            interrupt: _interrupt,
            compact,
            ..
        } = database;
        let loose = loose_operations.filter(|loose| loose * FEW_LOOSE <= checkpoint.operations());
        let compact = compact || loose.is_some();
        let scrubbing = blocking(|| scrub(connection));
        let connection = self.steps.run("scrub", scrubbing).await?;
        let file = directory.file(SNAPSHOT);
        let target = file.clone();
        let vacuuming = blocking(move || vacuum(connection, compact, &target));
        self.steps.run("vacuum", vacuuming).await?;
        let verifying = self.seeder.verify(&file, &checkpoint);
        let verified = self.steps.run("verify", verifying).await?;
        Ok(Made {
            directory,
            loose_operations: loose.unwrap_or_default(),
            checkpoint,
            verified,
        })
    }

    async fn upload(self, made: Made, origin: Origin) -> Result<Seeded, SeedError> {
        let Self {
            seeder,
            job,
            steps,
            download,
        } = self;
        let manifest = Manifest {
            run_id: job.run_id,
            job_id: job.job_id,
            store_id: job.scope.store_id.clone(),
            attempt: job.attempt,
            created_at: Utc::now(),
            powersync_endpoint: seeder.endpoint.clone(),
            core_version: seeder.core_version.clone(),
            internal_schema_version: made.verified.internal_schema_version,
            schema_fingerprint: seeder.schema.fingerprint(),
            selection_fingerprint: seeder.selection_fingerprint(job),
            origin,
            checkpoint: made.checkpoint,
            tables: made.verified.tables,
            renditions: Vec::new(),
            download,
            steps: steps.done,
            trace_id: trace_id(&Span::current()),
        };
        let file = made.directory.file(SNAPSHOT);
        let upload = seeder.upload.snapshot(&file, manifest);
        let manifest = try_step(&seeder.metrics, "upload", upload).await?;
        Ok(Seeded::Snapshot(Box::new(manifest)))
    }
}

pub(crate) fn timing(step: &str, started: Instant) -> StepTiming {
    let millis = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    StepTiming {
        step: step.to_owned(),
        millis,
    }
}

fn scrub(connection: Connection) -> Result<Connection, SeedError> {
    snapshot::scrub(&connection)?;
    Ok(connection)
}

/// Closes the synced database when it is done: nothing else is needed of it.
fn vacuum(connection: Connection, compact: bool, target: &Path) -> Result<(), SeedError> {
    Ok(snapshot::write(connection, compact, target)?)
}

/// Runs `work` on a thread that may block. It goes on when the job is abandoned, until its statement is
/// interrupted by an `InterruptOnDrop`.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SeedError> + Send + 'static,
) -> Result<T, SeedError> {
    let span = Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(SeedError::Panic(error.to_string())),
        },
    }
}

/// The steps that are done, with their durations.
struct Steps<'a> {
    metrics: &'a Metrics,
    done: Vec<StepTiming>,
}

impl<'a> Steps<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        let done = Vec::new();
        Self { metrics, done }
    }

    async fn run<T, E: Into<SeedError>>(
        &mut self,
        step: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, SeedError> {
        let started = Instant::now();
        let result = try_step(self.metrics, step, work).await?;
        self.done.push(timing(step, started));
        Ok(result)
    }
}

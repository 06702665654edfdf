//! One job, from top to bottom.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use rusqlite::Connection;
use seedbed_protocol::{
    message::{Checkpoint, Manifest, SeedJob, StepTiming},
    snapshots::SnapshotStore,
    trace::trace_id,
};
use tracing::Span;

use crate::{
    config::WorkerSettings,
    database::{SyncedDatabase, core_version},
    error::{ConfigError, SeedError},
    gate::StreamGate,
    metrics::Metrics,
    progress::Progress,
    schema::Schema,
    snapshot,
    step::try_step,
    stream::PowerSyncClient,
    sync::Synced,
    token::TokenSigner,
    upload::Upload,
    verify::{self, Expected, Verified},
    workdir::WorkDirectory,
};

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
    endpoint: String,
    core_version: String,
    upload: Upload,
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
            upload: Upload::new(snapshots, &settings.snapshots),
            work: WorkDirectory::open(&settings.worker.directory)?,
        })
    }

    pub(crate) fn work(&self) -> &WorkDirectory {
        &self.work
    }

    /// Seeds the job's store: when this returns a manifest, a verified snapshot and that manifest are in the
    /// snapshot store. On every other path, a kill included, nothing refers to what was made.
    pub(crate) async fn seed(&self, job: &SeedJob) -> Result<Manifest, SeedError> {
        let directory = self.work.job(job.job_id, job.attempt)?;
        let snapshot_file = directory.file("snapshot.sqlite");
        let mut steps = Steps::new(&self.metrics);

        let Synced {
            database,
            checkpoint,
            download,
        } = steps.run("sync", self.sync(job, &directory)).await?;
        // Held here, outside of the threads: when this future is dropped, they stop.
        let SyncedDatabase {
            connection,
            interrupt: _interrupt,
            compact,
            ..
        } = database;
        let connection = steps.run("scrub", blocking(|| scrub(connection))).await?;
        let target = snapshot_file.clone();
        steps
            .run(
                "vacuum",
                blocking(move || vacuum(connection, compact, &target)),
            )
            .await?;
        let verified = steps
            .run("verify", self.verify(&snapshot_file, &checkpoint))
            .await?;

        let manifest = Manifest {
            run_id: job.run_id,
            job_id: job.job_id,
            store_id: job.scope.store_id.clone(),
            attempt: job.attempt,
            created_at: Utc::now(),
            powersync_endpoint: self.endpoint.clone(),
            core_version: self.core_version.clone(),
            internal_schema_version: verified.internal_schema_version,
            schema_fingerprint: self.schema.fingerprint(),
            checkpoint,
            tables: verified.tables,
            renditions: Vec::new(),
            download,
            steps: steps.done,
            trace_id: trace_id(&Span::current()),
        };
        let upload = self.upload.snapshot(&snapshot_file, manifest);
        try_step(&self.metrics, "upload", upload).await
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

//! A worker in this process, on a broker in memory.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::Utc;
use seedbed_protocol::{
    broker::{Broker, BrokerError, Consumer, MemoryBroker, Message, Queue},
    manifest::{Encoding, Manifest},
    message::{EventKind, Failure, SeedEvent, SeedJob},
    snapshots::SnapshotRepository,
    telemetry::trace::TraceContext,
};
use seedbed_worker::{Shutdown, Worker, settings::WorkerSettings};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{access::Access, jobs::job, settings::settings};

/// Longer than a queue of a benchmark takes.
const LONG: Duration = Duration::from_secs(3_600);

/// A worker that runs until this is dropped.
pub struct Pipeline {
    /// Everything that the worker writes is below it.
    pub directory: TempDir,
    /// What the worker takes jobs from.
    pub broker: MemoryBroker,
    /// Where it puts snapshots.
    pub snapshots: SnapshotRepository,
    /// The worker.
    pub worker: Worker,
    /// Stops it.
    pub shutdown: Shutdown,
    /// How long the next event may take; a minute, which is more than any job of a test needs.
    pub patience: Duration,
    events: Box<dyn Consumer>,
    running: JoinHandle<Result<(), BrokerError>>,
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.shutdown.drain.cancel();
        self.shutdown.abort.cancel();
    }
}

impl Pipeline {
    /// A worker with the usual settings.
    pub async fn start(service: impl Into<Access>) -> Self {
        Self::start_with(service, |_| {}).await
    }

    /// A worker with changed settings.
    ///
    /// # Panics
    /// When the worker refuses the settings.
    pub async fn start_with(
        service: impl Into<Access>,
        change: impl FnOnce(&mut WorkerSettings),
    ) -> Self {
        Self::start_on(MemoryBroker::default(), service, change).await
    }

    /// A worker with changed settings, on a broker in which jobs may wait already.
    ///
    /// # Panics
    /// When the worker refuses the settings.
    pub async fn start_on(
        broker: MemoryBroker,
        service: impl Into<Access>,
        change: impl FnOnce(&mut WorkerSettings),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut settings = settings(service.into(), &directory);
        change(&mut settings);
        let snapshots = SnapshotRepository::open(&settings.snapshots);
        let snapshots = snapshots.expect("the snapshot directory can be made");
        Self::run_worker(broker, directory, settings, snapshots).await
    }

    /// A worker with changed settings that stores its snapshots elsewhere.
    ///
    /// # Panics
    /// When the worker refuses the settings.
    pub async fn start_in(
        service: impl Into<Access>,
        snapshots: SnapshotRepository,
        change: impl FnOnce(&mut WorkerSettings),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut settings = settings(service.into(), &directory);
        change(&mut settings);
        Self::run_worker(MemoryBroker::default(), directory, settings, snapshots).await
    }

    async fn run_worker(
        broker: MemoryBroker,
        directory: TempDir,
        settings: WorkerSettings,
        snapshots: SnapshotRepository,
    ) -> Self {
        let worker = Worker::new(&settings, snapshots.clone(), Arc::new(broker.clone()));
        let worker =
            worker.unwrap_or_else(|error| panic!("the worker refuses its settings: {error}"));
        let events = broker
            .consume(Queue::Events, 1000)
            .await
            .expect("a new broker is open");
        let shutdown = Shutdown::default();
        let (running, until) = (worker.clone(), shutdown.clone());
        let running = tokio::spawn(async move { running.run(until).await });
        Self {
            directory,
            broker,
            snapshots,
            worker,
            shutdown,
            patience: Duration::from_secs(60),
            events,
            running,
        }
    }

    /// Waits until the worker has stopped, as it was told to.
    ///
    /// # Panics
    /// When it still runs after a minute, or failed.
    pub async fn stopped(&mut self) {
        let stopped = tokio::time::timeout(Duration::from_secs(60), &mut self.running).await;
        let stopped = stopped.expect("the worker stops in time");
        stopped.expect("no panic").expect("the broker is open");
    }

    /// Seeds a store whose JWT carries nothing but its id.
    ///
    /// # Errors
    /// The failure that ended the job.
    pub async fn seed(&mut self, store: &str) -> Result<Manifest, Failure> {
        self.run(job(store, json!({ "store_id": store }), Vec::new()))
            .await
    }

    /// Publishes a job and follows it to its end.
    ///
    /// # Errors
    /// The failure that ended the job.
    ///
    /// # Panics
    /// When the worker reports nothing, or an event of another job.
    pub async fn run(&mut self, job: SeedJob) -> Result<Manifest, Failure> {
        match self.end(job).await? {
            End::Made(manifest) => Ok(*manifest),
            End::Unchanged(event) => panic!("a new snapshot was expected: {event:?}"),
        }
    }

    /// Publishes a job that may find its base unchanged, and follows it to its end.
    ///
    /// # Errors
    /// The failure that ended the job.
    ///
    /// # Panics
    /// When the worker reports nothing, or an event of another job.
    pub async fn end(&mut self, job: SeedJob) -> Result<End, Failure> {
        self.publish(&job).await;
        loop {
            let event = self.next_event().await;
            assert_eq!(event.job_id, job.job_id, "only one job is running");
            match event.kind.clone() {
                EventKind::Started { .. }
                | EventKind::Failed(Failure {
                    retry_at: Some(_), ..
                }) => {}
                EventKind::Completed { manifest } => return Ok(End::Made(manifest)),
                EventKind::Failed(failure) => return Err(failure),
                EventKind::Unchanged { .. } => return Ok(End::Unchanged(Box::new(event))),
            }
        }
    }

    /// Publishes a job for each store, whose JWT carries nothing but its id, and follows them to their ends.
    ///
    /// # Errors
    /// The first failure that ended a job.
    ///
    /// # Panics
    /// When the worker reports nothing.
    pub async fn seed_all(&mut self, stores: &[impl AsRef<str>]) -> Result<Vec<Manifest>, Failure> {
        for store in stores.iter().map(AsRef::as_ref) {
            let mut job = job(store, json!({ "store_id": store }), Vec::new());
            job.deadline = Utc::now() + LONG;
            self.publish(&job).await;
        }
        let mut manifests = Vec::new();
        while manifests.len() < stores.len() {
            match self.next_event().await.kind {
                EventKind::Completed { manifest } => manifests.push(*manifest),
                EventKind::Failed(failure) if failure.retry_at.is_none() => return Err(failure),
                _ => {}
            }
        }
        Ok(manifests)
    }

    /// Publishes a job.
    ///
    /// # Panics
    /// When the broker is closed.
    pub async fn publish(&self, job: &SeedJob) {
        self.publisher().publish(job).await;
    }

    /// Publishes jobs while another task reads the events.
    pub fn publisher(&self) -> JobPublisher {
        JobPublisher(self.broker.clone())
    }

    /// The next event of any job.
    ///
    /// # Panics
    /// When none comes for as long as it has patience.
    pub async fn next_event(&mut self) -> SeedEvent {
        let next = tokio::time::timeout(self.patience, self.events.next()).await;
        let delivery = next
            .expect("the worker reports something")
            .expect("the broker is open");
        let event = delivery.message.decode().expect("it is an event");
        delivery.ack().await.expect("the broker is open");
        event
    }

    /// The SQLite file of a snapshot.
    ///
    /// # Panics
    /// When it has none.
    pub fn file(&self, manifest: &Manifest) -> PathBuf {
        let plain = manifest
            .renditions
            .iter()
            .find(|r| r.encoding == Encoding::Identity);
        self.snapshots
            .local_path(&plain.expect("there is a plain file").key)
            .expect("snapshots are in a directory")
    }
}

/// Publishes jobs for the worker of a [`Pipeline`].
#[derive(Clone)]
pub struct JobPublisher(MemoryBroker);

impl JobPublisher {
    /// Publishes a job, when there is room for it.
    ///
    /// # Panics
    /// When the broker is closed.
    pub async fn publish(&self, job: &SeedJob) {
        let message =
            Message::job(job, TraceContext::default()).expect("a job fits into a message");
        self.0
            .publish(Queue::Jobs, message)
            .await
            .expect("the broker is open");
    }
}

/// How a job ended well.
#[derive(Debug)]
pub enum End {
    /// With a new snapshot.
    Made(Box<Manifest>),
    /// With the word that the base is still right.
    Unchanged(Box<SeedEvent>),
}

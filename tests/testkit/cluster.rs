//! A cluster on one machine: RabbitMQ, Postgres, a place for snapshots, and as many coordinators and workers as a
//! test starts.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::TryStreamExt;
use seedbed::catalog::{Catalog, PendingJob};
use seedbed_protocol::{
    Attempt, OpId, StoreId,
    broker::{self, Broker, BrokerConfig, BrokerUrl},
    manifest::{
        Checkpoint, Download, Encoding, Form, Manifest, Notes, Origin, Rendition, RenditionKind,
        TableRows,
    },
    snapshots::{SealingKeys, SnapshotRepository, SnapshotsConfig, UnreadableRowsPolicy, keys_of},
};
use seedbed_stand_in::PowerSync;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    objects::ObjectServer,
    pipeline::{Access, same_rows},
    program::{Ended, Process, Program, stop},
    servers::{Postgres, RabbitMq},
};

/// What `seedbed` is told to run over the stores of a cluster.
pub const RUN: [&str; 3] = ["run", "--stores", "stores.ndjson"];

/// The parts that all programs of the cluster share, and the environment that names them.
pub struct Cluster {
    /// The PowerSync service.
    pub service: PowerSync,
    /// Runs `seedbed` and `seedbed-worker`.
    pub program: Program,
    /// The broker's server. Other tests may use it as well.
    pub rabbitmq: Arc<RabbitMq>,
    /// Where messages go.
    pub broker_url: String,
    /// Where the catalog is.
    pub catalog_url: String,
    /// The object store, if snapshots go to one.
    pub objects: Option<ObjectServer>,
    /// The catalog's server. Other tests may use it as well.
    pub postgres: Arc<Postgres>,
    snapshots_url: String,
}

impl Cluster {
    /// A cluster whose snapshots go to a directory, on servers that tests share.
    pub async fn start() -> Self {
        Self::on(RabbitMq::shared(), None).await
    }

    /// A cluster on this broker, whose snapshots go to `objects` or else to a directory.
    ///
    /// # Panics
    /// When a server does not start.
    pub async fn on(rabbitmq: Arc<RabbitMq>, objects: Option<ObjectServer>) -> Self {
        let service = PowerSync::builder().start().await;
        let service = service.expect("loopback has a free port");
        let mut program = Program::new(Access::from(&service));
        let broker_url = rabbitmq.vhost();
        let postgres = Postgres::shared();
        let catalog_url = postgres.database();
        let directory = format!("file:{}", program.path("snapshots").display());
        let snapshots_url = objects.as_ref().map_or(directory, |o| o.url.clone());
        program.set("BROKER__URL", &broker_url);
        program.set("CATALOG__URL", &catalog_url);
        program.set("SNAPSHOTS__URL", &snapshots_url);
        program.set("WORKER__SLOTS", "2");
        program.set("WORKER__MAX_ATTEMPTS", "5");
        for (name, value) in objects.iter().flat_map(|o| o.variables.clone()) {
            program.set_variable(&name, value);
        }
        Self {
            service,
            program,
            rabbitmq,
            broker_url,
            catalog_url,
            objects,
            postgres,
            snapshots_url,
        }
    }

    /// Makes `count` stores with `rows` rows each, and a list of them that `--stores stores.ndjson` names.
    pub fn add_stores(&self, count: usize, rows: u32) -> Vec<String> {
        let stores: Vec<String> = (1..=count).map(|n| format!("store-{n}")).collect();
        for (seed, store) in stores.iter().enumerate() {
            self.service
                .add_generated_store(store, rows, seed as u64 + 1);
        }
        self.list(&stores);
        stores
    }

    /// Writes the list that `--stores stores.ndjson` names.
    pub fn list(&self, stores: &[String]) {
        let lines: Vec<String> = stores
            .iter()
            .map(|store| format!("{{\"store_id\":\"{store}\"}}\n"))
            .collect();
        self.program.write("stores.ndjson", lines.concat());
    }

    /// Starts workers.
    pub fn start_workers(&self, count: usize) -> Vec<Process> {
        (0..count).map(|_| self.program.start_worker()).collect()
    }

    /// Runs `seedbed run` over the listed stores, with more arguments, to its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn run(&self, more: &[&str]) -> Ended {
        self.program.run(&[&RUN[..], more].concat()).await
    }

    /// What `seedbed status --json` says.
    ///
    /// # Panics
    /// When it fails.
    pub async fn status(&self) -> Value {
        let ended = self.program.run(&["status", "--json"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        ended.objects().remove(0)
    }

    /// The broker, as another program of the cluster.
    ///
    /// # Panics
    /// When it cannot be reached.
    pub async fn broker(&self) -> Arc<dyn Broker> {
        let url = BrokerUrl::new(&self.broker_url).expect("it is a URL");
        let broker = broker::connect(&BrokerConfig::new(url)).await;
        broker.expect("the broker can be reached")
    }

    /// The catalog, opened once more than by the programs.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn catalog(&self) -> Catalog {
        let catalog = Catalog::open(&self.catalog_url).await;
        catalog.expect("the catalog can be opened")
    }

    /// The place for snapshots, as the programs see it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn snapshots(&self) -> SnapshotRepository {
        let config = SnapshotsConfig {
            url: self.snapshots_url.clone(),
            renditions: vec![RenditionKind::file(Encoding::Identity)],
            latest: false,
            unreadable_rows: UnreadableRowsPolicy::Warn,
            sealed: false,
            sealing_key: SealingKeys::default(),
        };
        let variables = self.objects.iter().flat_map(|o| o.variables.clone());
        let store = SnapshotRepository::open_with(&config, variables);
        store.expect("the place for snapshots can be opened")
    }

    /// The file in which the object `key` is kept, in the directory or by the S3 server.
    ///
    /// # Panics
    /// When the object store is another one.
    pub fn file_of(&self, key: &str) -> PathBuf {
        let Some(objects) = &self.objects else {
            return self.program.path("snapshots").join(key);
        };
        let data = objects.data.as_ref().expect("S3 keeps objects in files");
        let place = objects.url.strip_prefix("s3://").expect("it is S3");
        data.join(place).join(key)
    }

    /// Each of `stores` has one live snapshot, with the rows of the service, and no job is in flight.
    ///
    /// # Panics
    /// When that is not so.
    pub async fn assert_seeded(&self, stores: &[String]) {
        let catalog = self.catalog().await;
        let live: Vec<_> = catalog
            .snapshots(None, false)
            .try_collect()
            .await
            .expect("the catalog answers");
        assert_eq!(live.len(), stores.len());
        for store in stores {
            let store_id = StoreId::new(store.as_str()).expect("it is a store's id");
            let live = catalog.live_snapshot(&store_id).await;
            let live = live.expect("the catalog answers");
            self.assert_rows(&live.expect("it is seeded").manifest)
                .await;
        }
        let in_flight = catalog.jobs_in_flight(1).await;
        assert!(in_flight.expect("the catalog answers").is_empty());
        catalog.close().await;
    }

    /// After `gc`, the live snapshots of `stores` stores are in their place and nothing else is.
    ///
    /// # Panics
    /// When that is not so.
    pub async fn assert_only_live_snapshots_survive(&self, stores: usize) {
        let collected = self.program.run(&["gc"]).await;
        assert_eq!(collected.code, Some(0), "{collected}");
        let catalog = self.catalog().await;
        let live: Vec<_> = catalog
            .snapshots(None, false)
            .try_collect()
            .await
            .expect("the catalog answers");
        assert_eq!(live.len(), stores);
        let keys = live.iter().flat_map(|record| keys_of(&record.manifest));
        let expected: BTreeSet<String> = keys.collect();
        let objects: Vec<_> = self
            .snapshots()
            .list()
            .try_collect()
            .await
            .expect("the place answers");
        let present: BTreeSet<String> = objects.into_iter().map(|object| object.key).collect();
        assert_eq!(present, expected);
        catalog.close().await;
    }

    /// Downloads a snapshot and compares its rows with what the service has.
    ///
    /// # Panics
    /// When they differ.
    pub async fn assert_rows(&self, manifest: &Manifest) {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let file = directory.path().join("snapshot.sqlite");
        let rendition = &manifest.renditions[0];
        let fetched = self.snapshots().fetch(&rendition.key, &file).await;
        let fetched = fetched.expect("the object is there");
        assert_eq!(fetched.sha256, rendition.sha256);
        same_rows(&self.service, manifest.store_id.as_str(), &file);
    }
}

/// What a worker would report of a job that it has seeded: ten rows, in a file that is nowhere.
pub fn manifest(job: &PendingJob, attempt: Attempt) -> Manifest {
    let (store_id, job_id) = (job.scope.store_id.clone(), job.job_id);
    Manifest {
        run_id: job.run_id,
        job_id,
        attempt,
        created_at: Utc::now(),
        powersync_endpoint: "http://powersync".to_owned(),
        core_version: "0.4.14".to_owned(),
        internal_schema_version: 12,
        schema_fingerprint: "00".to_owned(),
        selection_fingerprint: String::new(),
        origin: Origin::default(),
        checkpoint: Checkpoint {
            last_op_id: OpId(1),
            buckets: Vec::new(),
        },
        tables: vec![TableRows {
            table: "products".to_owned(),
            rows: 10,
        }],
        renditions: vec![Rendition {
            form: Form::File,
            encoding: Encoding::Identity,
            key: format!("{store_id}/{job_id}-{attempt}-0a0b0c0d.sqlite"),
            bytes: 4096,
            sha256: "00".to_owned(),
            unpacked: None,
            finish: None,
            selection: None,
        }],
        store_id,
        download: Download::default(),
        steps: Vec::new(),
        trace_id: None,
        forms: Vec::new(),
        sealed: Vec::new(),
        sealed_key: None,
        notes: Notes::default(),
    }
}

/// Seeds every store of the list once, with workers that were ready before. How long the run took.
///
/// # Panics
/// When not `stores` of them are seeded.
pub async fn timed_sweep(program: &Program, workers: usize, stores: usize) -> Duration {
    let mut workers: Vec<Process> = (0..workers).map(|_| program.start_worker()).collect();
    for worker in &mut workers {
        let ready = |worker: &Process| worker.error().contains("taking jobs");
        worker.until("it takes jobs", ready).await;
    }
    let started = Instant::now();
    let run = program
        .run(&[&RUN[..], &["--full", "--json"]].concat())
        .await;
    let took = started.elapsed();
    assert_eq!(run.code, Some(0), "{run}");
    let summary = run.objects().pop().expect("a run has a summary");
    assert_eq!(summary["seeded"], stores, "{summary}");
    stop(workers).await;
    took
}

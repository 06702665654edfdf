//! A catalog of its own for each test, and what workers would report to it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use seedbed::catalog::{
    self, Applied, Catalog, Covers, InFlight, Listed, PendingJob, RunKind, Sweep,
};
use seedbed_protocol::{
    Attempt, JobId, JsonObject, RunId, StoreId,
    manifest::{Checkpoint, Manifest},
    message::{EventKind, Failure, FailureKind, Scope, SeedEvent},
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use testkit::servers::Postgres;

/// What `seedbed local` asks for.
pub(super) const REFUSE: Sweep = Sweep {
    kind: RunKind::Run,
    in_flight: InFlight::Refuse,
    only_older_than: None,
    covers: Covers::Some,
    allow_fewer: false,
    download: catalog::Download::Changed,
    skip_unchanged: false,
    quarantine: None,
};

/// What `seedbed run` asks for.
pub(super) const SKIP: Sweep = Sweep {
    in_flight: InFlight::Skip,
    ..REFUSE
};

/// A run over all stores that there are.
pub(super) const FULL_SWEEP: Sweep = Sweep {
    covers: Covers::All,
    ..SKIP
};

/// A run over the stores that the source knows to have changed.
pub(super) const CHANGED: Sweep = Sweep {
    skip_unchanged: true,
    ..FULL_SWEEP
};

/// Keeps a catalog's place until the test ends.
enum Place {
    Directory { _directory: tempfile::TempDir },
    Server { _server: Arc<Postgres> },
}

pub(super) struct Fixture {
    pub(super) catalog: Catalog,
    pub(super) url: String,
    _place: Place,
}

impl Fixture {
    pub(super) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/catalog.db", directory.path().display());
        let place = Place::Directory {
            _directory: directory,
        };
        Self::open(url, place).await
    }

    pub(super) async fn postgres() -> Self {
        let server = Postgres::shared();
        let url = server.database();
        Self::open(url, Place::Server { _server: server }).await
    }

    async fn open(url: String, place: Place) -> Self {
        Self {
            catalog: Catalog::open(&url).await.unwrap(),
            url,
            _place: place,
        }
    }

    /// The same catalog, as another process has it.
    pub(super) async fn another(&self) -> Catalog {
        Catalog::open(&self.url).await.unwrap()
    }

    pub(super) async fn list(&self, stores: &[&str], options: Sweep) -> Listed {
        list(&self.catalog, stores, options).await
    }

    /// A new run with these stores, and its jobs in the same order.
    pub(super) async fn run(&self, stores: &[&str]) -> (RunId, Vec<PendingJob>) {
        let run_id = self.list(stores, REFUSE).await.run_id.unwrap();
        let mut jobs = self.listed(run_id).await;
        jobs.sort_by_key(|job| job.position);
        (run_id, jobs)
    }

    pub(super) async fn listed(&self, run_id: RunId) -> Vec<PendingJob> {
        self.catalog
            .listed_jobs(run_id, None, i64::from(i32::MAX))
            .await
            .unwrap()
    }

    pub(super) async fn apply(&self, event: SeedEvent) -> Applied {
        self.catalog.apply(&[event]).await.unwrap()[0]
    }

    /// Seeds these stores in a run of their own.
    pub(super) async fn seed(&self, stores: &[&str]) -> Vec<PendingJob> {
        let (_, jobs) = self.run(stores).await;
        for job in &jobs {
            self.apply(completed(job, 1)).await;
        }
        jobs
    }

    pub(super) async fn live(&self, store: &str) -> Option<JobId> {
        let store_id = StoreId::new(store).unwrap();
        let live = self.catalog.live_snapshot(&store_id).await.unwrap();
        live.map(|live| live.manifest.job_id)
    }

    pub(super) async fn state(&self, job: &PendingJob) -> String {
        self.state_by("SELECT state FROM jobs WHERE id = $1", job)
            .await
    }

    pub(super) async fn snapshot_state(&self, job: &PendingJob) -> String {
        self.state_by("SELECT state FROM snapshots WHERE job_id = $1", job)
            .await
    }

    async fn state_by(&self, sql: &'static str, job: &PendingJob) -> String {
        let mut connection = self.connection().await;
        let state = sqlx::query_scalar(sql)
            .bind(job.job_id.to_string())
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        state
    }

    pub(super) async fn run_state(&self, run_id: RunId) -> String {
        let runs = self.catalog.runs(100).await.unwrap();
        let run = runs.into_iter().find(|run| run.run_id == run_id);
        run.unwrap().state.to_string()
    }

    /// Changes the catalog behind its back.
    pub(super) async fn execute(&self, sql: &str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// The first column of what a query finds.
    pub(super) async fn lines(&self, sql: &'static str) -> Vec<String> {
        let mut connection = self.connection().await;
        let lines = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
        connection.close().await.unwrap();
        lines.unwrap()
    }

    async fn connection(&self) -> AnyConnection {
        AnyConnection::connect(&self.url).await.unwrap()
    }
}

pub(super) async fn list(catalog: &Catalog, stores: &[&str], options: Sweep) -> Listed {
    let mut listing = catalog.list_run(options).await.unwrap();
    for (index, id) in stores.iter().enumerate() {
        listing.add(scope(id), index as u64 + 1).await.unwrap();
    }
    listing.commit().await.unwrap()
}

pub(super) fn scope(id: &str) -> Scope {
    let claims: JsonObject =
        serde_json::from_value(serde_json::json!({"store_id": id, "n": 1.5})).unwrap();
    Scope {
        store_id: StoreId::new(id).unwrap(),
        claims,
    }
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

pub(super) fn event(job: &PendingJob, attempt: u32, kind: EventKind) -> SeedEvent {
    SeedEvent {
        run_id: job.run_id,
        job_id: job.job_id,
        store_id: job.scope.store_id.clone(),
        attempt: Attempt::new(attempt).unwrap(),
        at: at(0),
        worker: "w1".to_owned(),
        kind,
        steps: Vec::new(),
    }
}

pub(super) fn started(job: &PendingJob, attempt: u32) -> SeedEvent {
    let trace_id = Some(format!("trace-{attempt}"));
    event(job, attempt, EventKind::Started { trace_id })
}

pub(super) fn manifest(job: &PendingJob, attempt: u32) -> Manifest {
    let mut manifest = testkit::cluster::manifest(job, Attempt::new(attempt).unwrap());
    manifest.created_at -= TimeDelta::minutes(30);
    manifest.renditions[0].key = format!("s/{}-{attempt}-0a0b0c0d.sqlite", job.job_id);
    manifest
}

pub(super) fn completed(job: &PendingJob, attempt: u32) -> SeedEvent {
    let manifest = Box::new(manifest(job, attempt));
    event(job, attempt, EventKind::Completed { manifest })
}

/// The store of `job` is as the snapshot of `base` has it.
pub(super) fn unchanged(job: &PendingJob, base: &PendingJob) -> SeedEvent {
    let unchanged = EventKind::Unchanged {
        base_job_id: base.job_id,
        base_attempt: Attempt::FIRST,
        checkpoint: Checkpoint::default(),
    };
    event(job, 1, unchanged)
}

pub(super) fn failed(job: &PendingJob, attempt: u32, retry: bool) -> SeedEvent {
    let failure = Failure {
        kind: FailureKind::Transient,
        step: "sync".to_owned(),
        message: format!("try {attempt} failed"),
        retry_at: retry.then(|| at(60)),
    };
    event(job, attempt, EventKind::Failed(failure))
}

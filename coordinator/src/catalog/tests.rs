use chrono::{TimeDelta, TimeZone};
use futures::TryStreamExt;
use seedbed_protocol::{
    Attempt, JobId, JsonObject, OpId, RunId, StoreId,
    message::{
        Checkpoint, Download, Encoding, EventKind, Failure, FailureKind, Manifest, Rendition,
        Scope, SeedEvent, TableRows,
    },
};

use super::*;
use crate::stores::Store;

const LOCAL: ListOptions = ListOptions {
    kind: "local",
    in_flight: InFlight::Refuse,
    only_older_than: None,
    full_sweep: false,
    allow_fewer: false,
};

struct Fixture {
    catalog: Catalog,
    directory: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // A path that would not survive being pasted into a URL.
        let url = format!(
            "sqlite:{}/50% of #1?/catalog.db",
            directory.path().display()
        );
        let catalog = Catalog::open(&url).await.unwrap();
        assert!(directory.path().join("50% of #1?/catalog.db").exists());
        Self { catalog, directory }
    }

    /// A new run with these stores, and its jobs in the same order.
    async fn run(&self, stores: &[&str]) -> (RunId, Vec<PendingJob>) {
        let mut listing = self.catalog.list_run(LOCAL).await.unwrap();
        for (index, id) in stores.iter().enumerate() {
            listing.add(store(id, index as u64 + 1)).await.unwrap();
        }
        let run_id = listing.commit().await.unwrap().run_id.unwrap();
        let jobs = self
            .catalog
            .listed_jobs(run_id, None, i64::MAX)
            .await
            .unwrap();
        (run_id, jobs)
    }

    async fn apply(&self, event: SeedEvent) -> Applied {
        self.catalog.apply(&[event]).await.unwrap()[0]
    }

    async fn live(&self, store: &str) -> Option<JobId> {
        let live = self
            .catalog
            .live_snapshot(&StoreId::new(store).unwrap())
            .await
            .unwrap();
        live.map(|manifest| manifest.job_id)
    }

    async fn state(&self, job: &PendingJob) -> String {
        sqlx::query_scalar("SELECT state FROM jobs WHERE id = $1")
            .bind(job.job_id.to_string())
            .fetch_one(&self.catalog.pool)
            .await
            .unwrap()
    }
}

fn store(id: &str, position: u64) -> Store {
    let claims: JsonObject =
        serde_json::from_value(serde_json::json!({"store_id": id, "n": 1.5})).unwrap();
    Store {
        scope: Scope {
            store_id: StoreId::new(id).unwrap(),
            claims,
        },
        position,
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn event(job: &PendingJob, attempt: u32, kind: EventKind) -> SeedEvent {
    SeedEvent {
        run_id: job.run_id,
        job_id: job.job_id,
        store_id: job.scope.store_id.clone(),
        attempt: Attempt::new(attempt).unwrap(),
        at: at(0),
        worker: "w1".to_owned(),
        kind,
    }
}

fn started(job: &PendingJob, attempt: u32) -> SeedEvent {
    let trace_id = Some(format!("trace-{attempt}"));
    event(job, attempt, EventKind::Started { trace_id })
}

fn completed(job: &PendingJob, last_op: i64, created: i64) -> SeedEvent {
    let manifest = Manifest {
        run_id: job.run_id,
        job_id: job.job_id,
        store_id: job.scope.store_id.clone(),
        attempt: Attempt::FIRST,
        created_at: at(created),
        powersync_endpoint: "http://powersync".to_owned(),
        core_version: "0.4.14".to_owned(),
        internal_schema_version: 12,
        schema_fingerprint: "00".to_owned(),
        checkpoint: Checkpoint {
            last_op_id: OpId(last_op),
            buckets: Vec::new(),
        },
        tables: vec![TableRows {
            table: "products".to_owned(),
            rows: 10,
        }],
        renditions: vec![Rendition {
            encoding: Encoding::Identity,
            key: "k".to_owned(),
            bytes: 4096,
            sha256: "00".to_owned(),
        }],
        download: Download::default(),
        steps: Vec::new(),
        trace_id: None,
    };
    event(
        job,
        1,
        EventKind::Completed {
            manifest: Box::new(manifest),
        },
    )
}

fn failed(job: &PendingJob, attempt: u32, retry: bool) -> SeedEvent {
    let failure = Failure {
        kind: FailureKind::Transient,
        step: "sync".to_owned(),
        message: format!("try {attempt} failed"),
        retry_at: retry.then(|| at(60)),
    };
    event(job, attempt, EventKind::Failed(failure))
}

#[tokio::test]
async fn a_listed_job_keeps_its_claims_and_their_order() {
    let fixture = Fixture::new().await;
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    assert_eq!(jobs[1].scope, store("b", 2).scope);
    assert_eq!(jobs[1].position, 2);
}

#[tokio::test]
async fn a_store_that_is_listed_twice_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let mut listing = fixture.catalog.list_run(LOCAL).await.unwrap();
    listing.add(store("a", 3)).await.unwrap();
    listing.add(store("b", 4)).await.unwrap();
    listing.add(store("a", 9)).await.unwrap();
    let error = listing.commit().await.unwrap_err().to_string();
    assert!(
        error.contains("\"a\"") && error.contains("at 3 and at 9"),
        "{error}"
    );
    assert!(fixture.catalog.runs(10).await.unwrap().is_empty());
    fixture.run(&["a"]).await;
}

#[tokio::test]
async fn a_store_with_a_job_in_flight_cannot_be_listed_again() {
    let fixture = Fixture::new().await;
    let (run_id, jobs) = fixture.run(&["a"]).await;
    let mut listing = fixture.catalog.list_run(LOCAL).await.unwrap();
    listing.add(store("a", 1)).await.unwrap();
    let error = listing.commit().await.unwrap_err().to_string();
    assert!(error.contains(&run_id.to_string()), "{error}");
    fixture.apply(failed(&jobs[0], 1, false)).await;
    fixture.run(&["a"]).await;
}

#[tokio::test]
async fn an_event_that_is_applied_twice_changes_nothing() {
    let fixture = Fixture::new().await;
    let (run_id, jobs) = fixture.run(&["a"]).await;
    let seeded = Applied::Seeded {
        rows: 10,
        bytes: 4096,
    };
    let event = completed(&jobs[0], 5, 0);
    let applied = fixture
        .catalog
        .apply(&[event.clone(), event.clone()])
        .await
        .unwrap();
    assert_eq!(applied, [seeded, Applied::Ignored]);
    assert_eq!(fixture.apply(event).await, Applied::Ignored);
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.seeded, totals.rows, totals.bytes), (1, 10, 4096));
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
}

#[tokio::test]
async fn a_late_start_does_not_reopen_a_job() {
    let fixture = Fixture::new().await;
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(completed(&jobs[0], 5, 0)).await;
    assert_eq!(fixture.apply(started(&jobs[0], 1)).await, Applied::Ignored);
    assert_eq!(fixture.state(&jobs[0]).await, "completed");

    fixture.apply(failed(&jobs[1], 1, true)).await;
    assert_eq!(fixture.apply(started(&jobs[1], 1)).await, Applied::Ignored);
    assert_eq!(fixture.state(&jobs[1]).await, "queued");
    assert_eq!(fixture.apply(started(&jobs[1], 2)).await, Applied::Noted);
    assert_eq!(
        fixture.apply(failed(&jobs[1], 1, true)).await,
        Applied::Ignored
    );
    assert_eq!(fixture.state(&jobs[1]).await, "running");
}

#[tokio::test]
async fn a_start_that_overtakes_the_note_of_being_published_stays() {
    let fixture = Fixture::new().await;
    let (_, jobs) = fixture.run(&["a"]).await;
    fixture.apply(started(&jobs[0], 1)).await;
    fixture
        .catalog
        .mark_queued(&[QueuedJob {
            job_id: jobs[0].job_id,
            trace_id: None,
            deadline: Utc::now(),
        }])
        .await
        .unwrap();
    assert_eq!(fixture.state(&jobs[0]).await, "running");
}

#[tokio::test]
async fn jobs_that_share_a_place_are_all_paged_through() {
    let fixture = Fixture::new().await;
    let mut listing = fixture.catalog.list_run(LOCAL).await.unwrap();
    for id in ["a", "b", "c", "d", "e"] {
        listing.add(store(id, 7)).await.unwrap();
    }
    let run_id = listing.commit().await.unwrap().run_id.unwrap();
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page = fixture.catalog.listed_jobs(run_id, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.position, last.job_id));
        listed.extend(page.into_iter().map(|job| job.scope.store_id.to_string()));
    }
    listed.sort();
    assert_eq!(listed, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_late_snapshot_of_an_earlier_job_or_try_does_not_replace_a_newer_one() {
    let fixture = Fixture::new().await;
    let (_, earlier) = fixture.run(&["a"]).await;
    fixture.apply(failed(&earlier[0], 2, false)).await;
    let (_, later) = fixture.run(&["a"]).await;
    fixture.apply(completed(&later[0], 100, 10)).await;
    fixture.apply(completed(&earlier[0], 101, 20)).await;
    assert_eq!(fixture.live("a").await, Some(later[0].job_id));
    assert_eq!(fixture.state(&earlier[0]).await, "completed");

    let (_, tried) = fixture.run(&["a"]).await;
    let mut second = completed(&tried[0], 110, 40);
    second.attempt = Attempt::new(2).unwrap();
    if let EventKind::Completed { manifest } = &mut second.kind {
        manifest.attempt = second.attempt;
    }
    fixture.apply(second).await;
    fixture.apply(completed(&tried[0], 109, 30)).await;
    let live = fixture
        .catalog
        .live_snapshot(&StoreId::new("a").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((live.job_id, live.attempt.get()), (tried[0].job_id, 2));

    let all: Vec<_> = fixture
        .catalog
        .snapshots(None, true)
        .try_collect()
        .await
        .unwrap();
    let live = all.iter().filter(|record| record.state == "live").count();
    assert_eq!((all.len(), live), (4, 1));
}

#[tokio::test]
async fn after_the_service_was_restored_a_later_job_wins_with_lower_op_ids() {
    let fixture = Fixture::new().await;
    let (_, before) = fixture.run(&["a"]).await;
    fixture.apply(completed(&before[0], 1_000_000, 10)).await;
    let (_, restored) = fixture.run(&["a"]).await;
    fixture.apply(completed(&restored[0], 3, 20)).await;
    assert_eq!(fixture.live("a").await, Some(restored[0].job_id));
}

#[tokio::test]
async fn a_failed_job_keeps_the_older_snapshot_and_its_reason() {
    let fixture = Fixture::new().await;
    let (_, old) = fixture.run(&["a"]).await;
    fixture.apply(completed(&old[0], 5, 0)).await;
    let (run_id, jobs) = fixture.run(&["a"]).await;
    assert_eq!(
        fixture.apply(failed(&jobs[0], 1, true)).await,
        Applied::Noted
    );
    assert_eq!(
        fixture.apply(failed(&jobs[0], 2, false)).await,
        Applied::Failed
    );
    assert_eq!(
        fixture.apply(failed(&jobs[0], 2, false)).await,
        Applied::Ignored
    );
    assert_eq!(fixture.live("a").await, Some(old[0].job_id));
    let failures = fixture.catalog.failed_jobs(run_id, 20).await.unwrap();
    assert_eq!(failures[0].attempts, 2);
    assert_eq!(failures[0].message.as_deref(), Some("try 2 failed"));
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.catalog.runs(1).await.unwrap()[0].state, "failed");
}

#[tokio::test]
async fn a_snapshot_counts_although_another_try_failed_for_good() {
    let fixture = Fixture::new().await;
    let (_, jobs) = fixture.run(&["a"]).await;
    fixture.apply(failed(&jobs[0], 2, false)).await;
    assert_eq!(
        fixture.apply(completed(&jobs[0], 5, 0)).await,
        Applied::Ignored
    );
    assert_eq!(fixture.state(&jobs[0]).await, "completed");
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
}

#[tokio::test]
async fn nothing_that_is_reported_about_an_abandoned_job_counts() {
    let fixture = Fixture::new().await;
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(completed(&jobs[1], 5, 0)).await;
    let in_flight = fixture.catalog.jobs_in_flight(10).await.unwrap();
    assert_eq!(in_flight.len(), 1);
    fixture.catalog.abandon_jobs(&in_flight).await.unwrap();
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(
        fixture.apply(completed(&jobs[0], 5, 0)).await,
        Applied::Ignored
    );
    assert_eq!(fixture.live("a").await, None);
    let run = &fixture.catalog.runs(1).await.unwrap()[0];
    assert_eq!(
        (run.state.as_str(), run.totals.abandoned, run.totals.seeded),
        ("abandoned", 1, 1)
    );
}

#[tokio::test]
async fn an_event_of_an_unknown_job_is_told_apart() {
    let fixture = Fixture::new().await;
    let (_, jobs) = fixture.run(&["a"]).await;
    let mut foreign = started(&jobs[0], 1);
    foreign.job_id = JobId::new();
    assert_eq!(fixture.apply(foreign).await, Applied::UnknownJob);
}

#[tokio::test]
async fn a_catalog_of_a_newer_program_is_refused() {
    let fixture = Fixture::new().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'future', TRUE, '', 0)",
    )
    .execute(&fixture.catalog.pool)
    .await
    .unwrap();
    fixture.catalog.close().await;
    let url = format!(
        "sqlite:{}/50% of #1?/catalog.db",
        fixture.directory.path().display()
    );
    let error = Catalog::open(&url).await.unwrap_err().to_string();
    assert!(error.contains("newer version"), "{error}");
}

#[tokio::test]
async fn a_catalog_that_is_only_read_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/none.db", directory.path().display());
    let error = Catalog::open_existing(&url).await.unwrap_err().to_string();
    assert!(
        error.contains("none.db") && error.contains("seedbed local"),
        "{error}"
    );
    assert!(!directory.path().join("none.db").exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    std::fs::write(
        &file,
        "not a database, but long enough to be looked at".repeat(10),
    )
    .unwrap();
    let error = Catalog::open(&format!("sqlite:{}", file.display()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("notes.txt") && error.contains("not a database"),
        "{error}"
    );
}

#[tokio::test]
async fn a_long_list_is_written_whole_and_its_duplicate_is_found() {
    let fixture = Fixture::new().await;
    let mut listing = fixture.catalog.list_run(LOCAL).await.unwrap();
    for position in 1..=300 {
        listing
            .add(store(&format!("s{position}"), position))
            .await
            .unwrap();
    }
    let run_id = listing.commit().await.unwrap().run_id.unwrap();
    assert_eq!(fixture.catalog.totals(run_id).await.unwrap().stores, 300);
    let jobs = fixture.catalog.jobs_in_flight(1000).await.unwrap();
    fixture.catalog.abandon_jobs(&jobs).await.unwrap();

    let mut listing = fixture.catalog.list_run(LOCAL).await.unwrap();
    let mut refused = None;
    for position in 1..=300 {
        let id = if position == 250 { 3 } else { position };
        if let Err(error) = listing.add(store(&format!("s{id}"), position)).await {
            refused = Some(error);
            break;
        }
    }
    let error = refused
        .expect("the batch with the duplicate is full")
        .to_string();
    assert!(error.contains("at 3 and at 250"), "{error}");
}

#[tokio::test]
async fn a_damaged_live_manifest_is_named_briefly_and_replaced() {
    let fixture = Fixture::new().await;
    let (_, jobs) = fixture.run(&["a"]).await;
    fixture.apply(completed(&jobs[0], 5, 0)).await;
    sqlx::query("UPDATE snapshots SET manifest = $1")
        .bind("ü".repeat(500))
        .execute(&fixture.catalog.pool)
        .await
        .unwrap();
    let store_id = StoreId::new("a").unwrap();
    let error = fixture.catalog.live_snapshot(&store_id).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains(&jobs[0].job_id.to_string()), "{error}");
    assert!(error.chars().count() < 250, "{error}");
    let (_, next) = fixture.run(&["a"]).await;
    fixture.apply(completed(&next[0], 6, 1)).await;
    assert_eq!(fixture.live("a").await, Some(next[0].job_id));
}

#[tokio::test]
async fn a_full_disk_is_told_from_what_somebody_has_to_change() {
    let fixture = Fixture::new().await;
    let full = "CREATE TABLE big (x); PRAGMA max_page_count = 1; INSERT INTO big VALUES (zeroblob(9999999))";
    let error = sqlx::raw_sql(full)
        .execute(&fixture.catalog.pool)
        .await
        .unwrap_err();
    assert!(open::passes(&error), "{error}");
    let missing = sqlx::raw_sql("SELECT * FROM nowhere")
        .execute(&fixture.catalog.pool)
        .await
        .unwrap_err();
    assert!(!open::passes(&missing), "{missing}");
}

//! Jobs in flight: leases, deadlines, retries and cancelled runs.

mod comparison;
mod reasons;

use std::{collections::HashSet, time::Duration};

use chrono::{TimeDelta, Utc};
use seedbed::catalog::{Applied, CatalogError, JobState, PendingJob, QueuedJob};
use seedbed_protocol::RunId;

use super::fixture::{Fixture, completed, failed, started};

const MINUTE: Duration = Duration::from_secs(60);

on_both!(
    a_start_that_overtakes_the_note_of_being_published_stays,
    a_run_has_one_publisher_until_the_lease_ends,
    the_run_of_a_killed_coordinator_is_found,
    a_job_past_its_deadline_fails_and_its_late_result_counts,
    a_failed_job_is_retried_as_a_new_job_of_a_new_run,
    a_failed_job_whose_store_has_a_newer_job_is_not_retried,
    a_cancelled_run_keeps_what_a_worker_has_begun,
    a_run_that_is_unknown_or_has_ended_is_named,
    more_jobs_than_fit_a_statement_are_queued_and_retried,
);

/// Published so long ago that its deadline has passed.
fn queued(job: &PendingJob) -> QueuedJob {
    QueuedJob {
        job_id: job.job_id,
        trace_id: Some("trace".to_owned()),
        deadline: Utc::now() - MINUTE,
    }
}

async fn a_start_that_overtakes_the_note_of_being_published_stays(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(started(&jobs[0], 1)).await;
    let published: Vec<QueuedJob> = jobs.iter().map(queued).collect();
    fixture.catalog.mark_queued(&published).await.unwrap();
    assert_eq!(fixture.state(&jobs[0]).await, "running");
    assert_eq!(fixture.state(&jobs[1]).await, "queued");
    let expired = fixture.catalog.expire_jobs(MINUTE, TimeDelta::zero()).await;
    assert_eq!(expired.unwrap(), 2, "both have the deadline");
}

async fn a_run_has_one_publisher_until_the_lease_ends(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a"]).await;
    let lease = |holder, duration| fixture.catalog.lease_run(run_id, holder, duration);
    assert!(lease("one", MINUTE).await.unwrap());
    assert!(!lease("two", MINUTE).await.unwrap());
    assert!(lease("one", Duration::ZERO).await.unwrap());
    // The lease that was renewed for no time ends when the clock has moved on.
    tokio::time::timeout(MINUTE, async {
        while !lease("two", MINUTE).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a lease ends");
    fixture.catalog.release_run(run_id, "one").await.unwrap();
    assert!(!lease("one", MINUTE).await.unwrap());
    fixture.catalog.release_run(run_id, "two").await.unwrap();
    assert!(lease("one", MINUTE).await.unwrap());
    fixture.apply(completed(&jobs[0], 1)).await;
    fixture.catalog.finish_runs().await.unwrap();
    assert!(!lease("one", MINUTE).await.unwrap());
}

async fn the_run_of_a_killed_coordinator_is_found(fixture: Fixture) {
    let (killed, _) = fixture.run(&["a"]).await;
    let (published, jobs) = fixture.run(&["b"]).await;
    fixture
        .catalog
        .mark_queued(&[queued(&jobs[0])])
        .await
        .unwrap();
    let lease = fixture.catalog.lease_run(killed, "one", MINUTE).await;
    assert!(lease.unwrap());
    assert_eq!(fixture.catalog.unpublished_runs().await.unwrap(), []);
    fixture.catalog.release_run(killed, "one").await.unwrap();
    assert_eq!(fixture.catalog.unpublished_runs().await.unwrap(), [killed]);
    assert_ne!(killed, published);
}

async fn a_job_past_its_deadline_fails_and_its_late_result_counts(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a", "b", "c"]).await;
    let mut late = queued(&jobs[1]);
    late.deadline = Utc::now() + MINUTE;
    let published = [queued(&jobs[0]), late];
    fixture.catalog.mark_queued(&published).await.unwrap();
    // Its publication was not recorded: the deadline counts from its start, which was long ago.
    let mut long_ago = started(&jobs[2], 1);
    long_ago.at = Utc::now() - TimeDelta::days(1);
    fixture.apply(long_ago).await;
    let expire = |grace| fixture.catalog.expire_jobs(MINUTE, grace);
    assert_eq!(expire(TimeDelta::days(20_000)).await.unwrap(), 0);
    assert_eq!(expire(TimeDelta::zero()).await.unwrap(), 2);
    assert_eq!(fixture.state(&jobs[1]).await, "queued");
    assert_eq!(fixture.state(&jobs[2]).await, "failed");
    let failures = fixture.catalog.failed_jobs(run_id, 10).await.unwrap();
    assert_eq!(failures[0].store_id, jobs[0].scope.store_id);
    assert_eq!(failures[0].step.as_deref(), Some("queue"));
    let message = failures[0].message.as_deref().unwrap();
    assert!(
        message.contains("deadline") && message.contains("seedbed retry"),
        "{message}"
    );
    fixture.apply(completed(&jobs[0], 1)).await;
    assert_eq!(fixture.state(&jobs[0]).await, "completed");
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
}

async fn a_failed_job_is_retried_as_a_new_job_of_a_new_run(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(failed(&jobs[0], 1, false)).await;
    fixture.apply(completed(&jobs[1], 1)).await;
    fixture.catalog.finish_runs().await.unwrap();
    let both = [jobs[0].job_id, jobs[1].job_id];
    let replaced = fixture.catalog.replaced_among(&both).await.unwrap();
    assert_eq!(replaced, HashSet::from([jobs[1].job_id]));
    let ended = fixture.catalog.find_run(run_id).await.unwrap();
    assert_eq!(fixture.run_state(run_id).await, "failed");

    let retried = fixture
        .catalog
        .retry_failed(Some(run_id), &[])
        .await
        .unwrap();
    assert_eq!((retried.jobs, retried.skipped), (1, 0));
    let new_run = *retried.runs.first().unwrap();
    assert_ne!(new_run, run_id);
    let replaced = fixture.catalog.replaced_among(&both).await.unwrap();
    assert_eq!(replaced, HashSet::from(both));
    assert_eq!(fixture.run_state(new_run).await, "running");
    let again = fixture.listed(new_run).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].scope, jobs[0].scope);
    assert!(again[0].job_id > jobs[0].job_id);
    let totals = fixture.catalog.totals(new_run).await.unwrap();
    assert_eq!((totals.stores, totals.in_flight, totals.failed), (1, 1, 0));

    fixture.apply(completed(&again[0], 1)).await;
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.run_state(new_run).await, "completed");
    let later = fixture.catalog.find_run(run_id).await.unwrap();
    assert_eq!(later, ended, "what was retried is the same run as before");
    let failures = fixture.catalog.failed_jobs(run_id, 10).await.unwrap();
    assert_eq!(
        failures[0].later,
        Some(JobState::Completed),
        "the job tells"
    );
    // The first job's snapshot, late, is older.
    fixture.apply(completed(&jobs[0], 1)).await;
    assert_eq!(fixture.live("a").await, Some(again[0].job_id));
    let retried = fixture.catalog.retry_failed(None, &[]).await.unwrap();
    assert_eq!((retried.jobs, retried.skipped), (0, 0));
}

async fn a_failed_job_whose_store_has_a_newer_job_is_not_retried(fixture: Fixture) {
    let (earlier, jobs) = fixture.run(&["a"]).await;
    fixture.apply(failed(&jobs[0], 1, false)).await;
    let (later, jobs) = fixture.run(&["a"]).await;
    let retried = fixture.catalog.retry_failed(None, &[]).await.unwrap();
    assert_eq!((retried.jobs, retried.skipped), (0, 1));
    fixture.apply(failed(&jobs[0], 1, false)).await;
    let retried = fixture.catalog.retry_failed(None, &[]).await.unwrap();
    assert_eq!((retried.jobs, retried.skipped), (1, 1));
    let runs = [earlier, later];
    assert!(retried.runs.iter().all(|run| !runs.contains(run)));
    let retried = fixture
        .catalog
        .retry_failed(Some(earlier), &[])
        .await
        .unwrap();
    assert_eq!((retried.jobs, retried.skipped), (0, 1));
}

async fn a_cancelled_run_keeps_what_a_worker_has_begun(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["begun", "queued", "listed"]).await;
    let published = [queued(&jobs[0]), queued(&jobs[1])];
    fixture.catalog.mark_queued(&published).await.unwrap();
    fixture.apply(started(&jobs[0], 1)).await;
    assert!(
        fixture
            .catalog
            .lease_run(run_id, "one", MINUTE)
            .await
            .unwrap()
    );
    let stopped = async || fixture.catalog.stop_publishing(run_id).await.unwrap();
    assert!(!stopped().await, "somebody publishes");
    fixture.catalog.release_run(run_id, "one").await.unwrap();
    assert!(stopped().await);
    fixture.catalog.cancel_waiting(run_id).await.unwrap();
    assert!(
        !fixture
            .catalog
            .lease_run(run_id, "one", MINUTE)
            .await
            .unwrap()
    );
    let ids: Vec<_> = jobs.iter().map(|job| job.job_id).collect();
    let cancelled = fixture.catalog.cancelled_among(&ids).await.unwrap();
    assert_eq!(cancelled, HashSet::from([ids[1], ids[2]]));
    assert_eq!(
        fixture.catalog.runs_with_messages().await.unwrap(),
        [run_id]
    );
    fixture.catalog.messages_are_removed(run_id).await.unwrap();
    assert!(
        fixture
            .catalog
            .runs_with_messages()
            .await
            .unwrap()
            .is_empty()
    );
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.run_state(run_id).await, "cancelled");
    fixture.apply(completed(&jobs[0], 1)).await;
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.run_state(run_id).await, "cancelled");
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!(
        (totals.seeded, totals.cancelled, totals.in_flight),
        (1, 2, 0)
    );
    // A worker had taken it all the same.
    assert_eq!(fixture.apply(started(&jobs[1], 1)).await, Applied::Ignored);
    fixture.apply(completed(&jobs[1], 1)).await;
    assert_eq!(fixture.state(&jobs[1]).await, "completed");
}

async fn a_run_that_is_unknown_or_has_ended_is_named(fixture: Fixture) {
    let unknown = RunId::new();
    for error in [
        fixture
            .catalog
            .retry_failed(Some(unknown), &[])
            .await
            .unwrap_err(),
        fixture.catalog.stop_publishing(unknown).await.unwrap_err(),
    ] {
        assert!(matches!(error, CatalogError::UnknownRun { run_id } if run_id == unknown));
    }
    let run_id = fixture.seed(&["a"]).await[0].run_id;
    fixture.catalog.finish_runs().await.unwrap();
    let error = fixture.catalog.stop_publishing(run_id).await.unwrap_err();
    assert!(
        error.to_string().contains("has already ended (completed)"),
        "{error}"
    );
}

async fn more_jobs_than_fit_a_statement_are_queued_and_retried(fixture: Fixture) {
    let ids: Vec<String> = (0..600).map(|n| format!("s{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (run_id, jobs) = fixture.run(&ids).await;
    let published: Vec<QueuedJob> = jobs.iter().map(queued).collect();
    fixture.catalog.mark_queued(&published).await.unwrap();
    assert!(fixture.listed(run_id).await.is_empty());
    let expired = fixture.catalog.expire_jobs(MINUTE, TimeDelta::zero()).await;
    assert_eq!(expired.unwrap(), 600);
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.run_state(run_id).await, "failed");
    let retried = fixture.catalog.retry_failed(None, &[]).await.unwrap();
    assert_eq!((retried.jobs, retried.skipped), (600, 0));
    let new_run = *retried.runs.first().unwrap();
    assert_eq!(fixture.listed(new_run).await.len(), 600);
    let totals = fixture.catalog.totals(new_run).await.unwrap();
    assert_eq!((totals.stores, totals.in_flight), (600, 600));
}

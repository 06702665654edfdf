//! Jobs whose messages are gone: counted, and listed again after pauses that double.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed::catalog::{Applied, Awaited, PendingJob, QueuedJob};

use seedbed_protocol::message::{EventKind, Heartbeat, SeedEvent};

use super::fixture::{Fixture, completed, failed, started};

on_both!(
    the_oldest_jobs_that_wait_are_listed_again_and_go_on_with_the_next_attempt,
    a_job_that_is_worked_on_is_lost_only_after_its_time,
    a_job_whose_worker_is_gone_or_works_on_nothing_should_have_a_message,
    a_job_that_nobody_works_on_is_listed_again,
    a_lost_job_of_a_cancelled_run_is_cancelled,
    an_attempt_that_the_service_was_too_busy_for_starts_again_when_it_is_due,
);

async fn publish(fixture: &Fixture, jobs: &[PendingJob]) {
    let queued = |job: &PendingJob| QueuedJob {
        job_id: job.job_id,
        trace_id: None,
        deadline: Utc::now() + TimeDelta::hours(1),
    };
    let published: Vec<QueuedJob> = jobs.iter().map(queued).collect();
    fixture.catalog.mark_queued(&published).await.unwrap();
}

/// The first attempt failed, and its retry is due.
fn failed_once(job: &PendingJob) -> SeedEvent {
    let mut event = failed(job, 1, true);
    if let EventKind::Failed(failure) = &mut event.kind {
        failure.retry_at = Some(Utc::now() - TimeDelta::seconds(1));
    }
    event
}

/// Everything that waits now, and what was started long ago.
fn awaited() -> Awaited {
    Awaited {
        queued_before: Utc::now() + TimeDelta::seconds(1),
        started_before: DateTime::UNIX_EPOCH,
        idle_after: TimeDelta::zero(),
    }
}

async fn lost(fixture: &Fixture, pause: Duration, limit: u64) -> u64 {
    let lost = fixture.catalog.list_lost(awaited(), pause, limit);
    lost.await.unwrap()
}

async fn the_oldest_jobs_that_wait_are_listed_again_and_go_on_with_the_next_attempt(
    fixture: Fixture,
) {
    const HOUR: Duration = Duration::from_secs(3600);
    let (run_id, jobs) = fixture.run(&["a", "b", "c", "d"]).await;
    publish(&fixture, &jobs[..3]).await;
    fixture.apply(failed_once(&jobs[0])).await;
    fixture.apply(completed(&jobs[1], 1)).await;
    let count = fixture.catalog.awaited_jobs(awaited()).await.unwrap();
    assert_eq!(count, 2, "one has ended, one was never published");
    assert_eq!(lost(&fixture, HOUR, 2).await, 0, "they are too young");
    assert_eq!(lost(&fixture, Duration::ZERO, 1).await, 1);
    assert_eq!(lost(&fixture, Duration::ZERO, 5).await, 1);
    let listed = fixture.catalog.listed_jobs(run_id, None, 10).await.unwrap();
    let attempts: Vec<u32> = listed.iter().map(|job| job.attempt.get()).collect();
    assert_eq!(attempts, [2, 1, 1], "of a, c and d");

    publish(&fixture, &jobs[2..3]).await;
    assert_eq!(lost(&fixture, HOUR, 5).await, 0);
    assert_eq!(lost(&fixture, Duration::ZERO, 5).await, 1, "again");
    // A copy of the message was there after all, and counts once.
    fixture.apply(completed(&jobs[2], 1)).await;
    assert_eq!(fixture.state(&jobs[2]).await, "completed");
}

async fn a_job_that_is_worked_on_is_lost_only_after_its_time(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a"]).await;
    publish(&fixture, &jobs).await;
    fixture.apply(started(&jobs[0], 1)).await;
    assert_eq!(fixture.catalog.awaited_jobs(awaited()).await.unwrap(), 0);
    let late = Awaited {
        started_before: Utc::now() + TimeDelta::seconds(1),
        ..awaited()
    };
    assert_eq!(fixture.catalog.awaited_jobs(late).await.unwrap(), 1);
    let listed = fixture.catalog.list_lost(late, Duration::ZERO, 1);
    assert_eq!(listed.await.unwrap(), 1);
    assert_eq!(fixture.state(&jobs[0]).await, "listed");
    // The worker had it, and is only slow.
    fixture.apply(completed(&jobs[0], 1)).await;
    assert_eq!(fixture.state(&jobs[0]).await, "completed");
}

fn heartbeat(worker: &str, busy: u16, lifetime_millis: u64) -> Heartbeat {
    Heartbeat {
        worker: worker.to_owned(),
        host: "host".to_owned(),
        version: "0.1.0".to_owned(),
        slots: 2,
        busy,
        started_at: Utc::now(),
        lifetime_millis,
        waiting: 0,
    }
}

async fn a_job_whose_worker_is_gone_or_works_on_nothing_should_have_a_message(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a"]).await;
    publish(&fixture, &jobs).await;
    let mut start = started(&jobs[0], 1);
    start.at = Utc::now() - TimeDelta::minutes(1);
    let worker = start.worker.clone();
    fixture.apply(start.clone()).await;
    let says = async |busy, lifetime_millis| {
        let heartbeats = [heartbeat(&worker, busy, lifetime_millis)];
        let recorded = fixture.catalog.record_heartbeats(&heartbeats);
        recorded.await.unwrap();
        fixture.catalog.awaited_jobs(awaited()).await.unwrap()
    };
    assert_eq!(says(1, 60_000).await, 0, "it works on the job");
    assert_eq!(says(0, 60_000).await, 1, "it is idle");
    assert_eq!(says(2, 60_000).await, 0, "perhaps it is slow");
    assert_eq!(says(2, 1).await, 1, "its time is over");
    assert_eq!(says(2, 60_000).await, 0, "it is back");
    assert_eq!(says(0, 0).await, 1, "it has left");
    let mut given_back = started(&jobs[0], 1);
    given_back.worker = "another".to_owned();
    given_back.at = Utc::now() + TimeDelta::seconds(1);
    assert_eq!(fixture.apply(given_back).await, Applied::Noted);
    assert_eq!(says(0, 1).await, 0, "another worker has it");
    let delivered_again = fixture.apply(start).await;
    assert_eq!(delivered_again, Applied::Ignored);
}

async fn a_job_that_nobody_works_on_is_listed_again(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a"]).await;
    publish(&fixture, &jobs).await;
    let start = started(&jobs[0], 1);
    let gone = heartbeat(&start.worker, 2, 1);
    fixture.apply(start).await;
    fixture.catalog.record_heartbeats(&[gone]).await.unwrap();
    assert_eq!(lost(&fixture, Duration::ZERO, 5).await, 1);
    assert_eq!(fixture.state(&jobs[0]).await, "listed");
}

async fn a_lost_job_of_a_cancelled_run_is_cancelled(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a"]).await;
    publish(&fixture, &jobs).await;
    fixture.apply(failed_once(&jobs[0])).await;
    assert!(fixture.catalog.stop_publishing(run_id).await.unwrap());
    fixture.catalog.cancel_waiting(run_id).await.unwrap();
    assert_eq!(fixture.state(&jobs[0]).await, "queued", "it had started");
    assert_eq!(lost(&fixture, Duration::ZERO, 1).await, 1);
    assert_eq!(fixture.state(&jobs[0]).await, "cancelled");
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.run_state(run_id).await, "cancelled");
}

async fn an_attempt_that_the_service_was_too_busy_for_starts_again_when_it_is_due(
    fixture: Fixture,
) {
    let (_, jobs) = fixture.run(&["a"]).await;
    publish(&fixture, &jobs).await;
    fixture.apply(started(&jobs[0], 1)).await;
    fixture.apply(failed_once(&jobs[0])).await;
    let mut again = started(&jobs[0], 1);
    again.at = Utc::now() - TimeDelta::seconds(2);
    let first = fixture.apply(again.clone()).await;
    assert_eq!(first, Applied::Ignored, "the first start, delivered again");
    again.at = Utc::now();
    assert_eq!(fixture.apply(again).await, Applied::Noted);
    assert_eq!(fixture.state(&jobs[0]).await, "running");
}

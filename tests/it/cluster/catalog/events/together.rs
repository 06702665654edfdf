//! A batch of events changes what the same events change one by one.

use chrono::TimeDelta;
use seedbed::catalog::{Applied, PendingJob, Withdrawal};
use seedbed_protocol::{
    Attempt, OpId,
    manifest::{BucketCheckpoint, FullReason, Origin},
    message::{EventKind, SeedEvent},
};

use crate::cluster::catalog::fixture::{Fixture, at, completed, failed, started, unchanged};

on_both!(a_batch_changes_what_its_events_change_one_by_one);

/// Stores of each history, and events in a batch.
const STORES: usize = 12;
const BATCH: usize = 64;

/// What the catalog has of each job and each snapshot, but for what differs between two catalogs: ids and times.
const JOBS: &str = "SELECT store_id || ' ' || runs.kind || ' ' || jobs.state || ' ' || attempt || ' ' || COALESCE(worker, '-') \
     || ' ' || COALESCE(trace_id, '-') || ' ' || COALESCE(jobs.started_at, 0) || ' ' || COALESCE(jobs.finished_at, 0) \
     || ' ' || COALESCE(way, '-') || ' ' || COALESCE(why, '-') || ' ' || COALESCE(row_count, 0) || ' ' \
     || COALESCE(byte_count, 0) || ' ' || COALESCE(from_generation, '-') || ' ' || COALESCE(to_generation, '-') \
     || ' ' || COALESCE(failure_message, '-') AS line \
     FROM jobs JOIN runs ON runs.id = jobs.run_id ORDER BY store_id, jobs.id";
const SNAPSHOTS: &str = "SELECT store_id || ' ' || attempt || ' ' || state || ' ' || row_count || ' ' || last_op_id || ' ' \
     || COALESCE(generation, '-') || ' ' || verified_at || ' ' || COALESCE(took, 0) || ' ' || COALESCE(object_bytes, 0) \
     || ' ' || CASE WHEN superseded_at IS NULL THEN 'in use' ELSE 'replaced' END \
     || ' ' || CASE WHEN withdrawn_at IS NULL THEN 'stays' ELSE 'withdrawn' END AS line \
     FROM snapshots ORDER BY store_id, job_id, attempt";

/// Numbers that are the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// An event of a job whose store has a snapshot of `base`, the same one for the same numbers.
fn any_event(numbers: &mut Numbers, job: &PendingJob, base: &PendingJob) -> SeedEvent {
    let attempt = 1 + numbers.below(3) as u32;
    let mut event = match numbers.below(8) {
        0..3 => started(job, attempt),
        3 => failed(job, attempt, numbers.below(2) == 0),
        4 => unchanged(job, base),
        _ => completed(job, attempt),
    };
    event.at = at(numbers.below(50) as i64);
    event.worker = format!("w{}", numbers.below(2));
    match &mut event.kind {
        EventKind::Completed { manifest } => {
            manifest.created_at = at(numbers.below(40) as i64);
            manifest.tables[0].rows = numbers.below(1_000);
            manifest.checkpoint.last_op_id = OpId(1 + numbers.below(3) as i64);
            manifest.checkpoint.buckets = vec![BucketCheckpoint {
                bucket: format!("{}#all[]", 1 + numbers.below(2)),
                last_op: manifest.checkpoint.last_op_id,
                checksum: 1,
                priority: 3,
                operations: 1,
            }];
            manifest.origin = match numbers.below(4) {
                0 => Origin::Base {
                    job_id: base.job_id,
                    full_at: at(0),
                    loose_operations: 0,
                },
                _ => Origin::Full {
                    because: FullReason::Changed,
                },
            };
            if numbers.below(10) == 0 {
                manifest.job_id = base.job_id;
            }
        }
        EventKind::Unchanged { base_attempt, .. } => {
            *base_attempt = Attempt::new(1 + numbers.below(2) as u32).unwrap();
        }
        EventKind::Started { .. } | EventKind::Failed(_) => {}
    }
    event
}

/// Applies a history of events, `batch` at a time. What each of them changed, and what the catalog has then.
async fn history(fixture: &Fixture, seed: u64, batch: usize) -> (Vec<Applied>, Vec<String>) {
    let ids: Vec<String> = (0..STORES).map(|n| format!("{seed}-{n:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut numbers = Numbers(seed);
    let (_, earlier) = fixture.run(&ids).await;
    for job in &earlier {
        let mut event = completed(job, 1);
        if let EventKind::Completed { manifest } = &mut event.kind {
            manifest.created_at = at(0) - TimeDelta::hours(1);
        }
        fixture.apply(event).await;
    }
    for job in earlier.iter().step_by(4) {
        let withdrawal = Withdrawal::Store(job.scope.store_id.clone());
        fixture.catalog.withdraw(&withdrawal).await.unwrap();
    }
    let (run_id, jobs) = fixture.run(&ids).await;
    if seed.is_multiple_of(5) {
        let withdrawal = Withdrawal::Run(run_id);
        fixture.catalog.withdraw(&withdrawal).await.unwrap();
    }
    let events: Vec<SeedEvent> = (0..2 * BATCH)
        .map(|_| {
            let store = numbers.below(STORES as u64) as usize;
            any_event(&mut numbers, &jobs[store], &earlier[store])
        })
        .collect();
    let mut applied = Vec::new();
    for events in events.chunks(batch) {
        applied.extend(fixture.catalog.apply(events).await.unwrap());
    }
    let mut lines = fixture.lines(JOBS).await;
    lines.extend(fixture.lines(SNAPSHOTS).await);
    lines.retain(|line| line.starts_with(&format!("{seed}-")));
    (applied, lines)
}

async fn a_batch_changes_what_its_events_change_one_by_one(fixture: Fixture) {
    let other = match fixture.url.starts_with("sqlite") {
        true => Fixture::sqlite().await,
        false => Fixture::postgres().await,
    };
    for seed in 1..=12 {
        let one_by_one = history(&other, seed, 1).await;
        let together = history(&fixture, seed, BATCH).await;
        assert_eq!(together, one_by_one, "the history {seed}");
        let (applied, _) = together;
        for outcome in [Applied::Noted, Applied::Ignored, Applied::Unchanged] {
            assert!(
                seed > 1 || applied.contains(&outcome),
                "nothing was {outcome:?}"
            );
        }
    }
}

//! Applies many events with a few statements: the starts of attempts, new snapshots that become live, and stores that have not
//! changed. Each changes what `one` would change; what is unusual in any way is left to it.

use std::collections::{HashMap, HashSet};

use chrono::Utc;
use seedbed_protocol::{
    JobId,
    manifest::{Checkpoint, FullReason, Manifest, Origin, Way},
    message::{EventKind, SeedEvent},
};
use sqlx::Row;

use super::applied::Applied;
use crate::catalog::{
    database::{CatalogError, Tx, ids, json, millis, parsed, printable, sql, stored},
    jobs::stored_steps,
    snapshots::{LiveSnapshot, live_snapshots, record_live},
    state::{
        IN_FLIGHT,
        JobState::{self, Queued, Running},
        SnapshotState::Live,
    },
};

/// A job as it is before its event.
struct Job {
    run_id: String,
    store_id: String,
    state: JobState,
}

/// Applies those of the events at `places`, which are of different stores, that bring nothing unusual. Returns what each of them
/// changed, by its place.
pub(super) async fn apply_together(
    tx: &mut Tx,
    events: &[SeedEvent],
    places: &[usize],
) -> Result<HashMap<usize, Applied>, CatalogError> {
    let mut applied = HashMap::new();
    // A single one is as fast by itself.
    if places.len() < 2 {
        return Ok(applied);
    }
    let jobs = jobs(tx, places.iter().map(|&place| &events[place])).await?;
    let withdrawn = withdrawn(tx, places.iter().map(|&place| &events[place])).await?;
    let is_usual = |event: &SeedEvent| {
        jobs.get(&event.job_id).is_some_and(|job| {
            job.state.is_in_flight()
                && !withdrawn.contains(&event.job_id)
                && job.run_id == event.run_id.to_string()
                && job.store_id == event.store_id.as_str()
        })
    };
    let mut started = Vec::new();
    let mut ended = Vec::new();
    for &place in places {
        let event = &events[place];
        match event.kind {
            _ if !is_usual(event) => {}
            EventKind::Started { .. } => started.push((place, event)),
            EventKind::Completed { .. } | EventKind::Unchanged { .. } => ended.push((place, event)),
            EventKind::Failed(_) => {}
        }
    }
    start(tx, &started, &mut applied).await?;
    end(tx, &ended, &mut applied).await?;
    Ok(applied)
}

/// The jobs that these events are about.
async fn jobs(
    tx: &mut Tx,
    events: impl ExactSizeIterator<Item = &SeedEvent>,
) -> Result<HashMap<JobId, Job>, CatalogError> {
    let statement = sql!(
        "SELECT id, run_id, store_id, state FROM jobs WHERE id {}",
        tx.dialect().among(1)
    );
    let query = sqlx::query(statement).bind(ids(events.map(|event| event.job_id)));
    let rows = query.fetch_all(&mut **tx).await?;
    rows.iter()
        .map(|row| {
            let job = Job {
                run_id: row.try_get("run_id")?,
                store_id: row.try_get("store_id")?,
                state: parsed(row, "state", "the state of a job")?,
            };
            Ok((parsed(row, "id", "a job id")?, job))
        })
        .collect()
}

/// Those jobs of `events` whose run, or the snapshot that they started from, was withdrawn.
async fn withdrawn(
    tx: &mut Tx,
    events: impl ExactSizeIterator<Item = &SeedEvent> + Clone,
) -> Result<HashSet<JobId>, CatalogError> {
    let bases = events
        .clone()
        .filter_map(base_of)
        .map(|job| job.to_string());
    let runs: HashSet<String> = events
        .clone()
        .map(|event| event.run_id.to_string())
        .collect();
    let statement = sql!(
        "SELECT job_id AS id FROM snapshots WHERE withdrawn_at IS NOT NULL AND job_id {among} \
         UNION ALL SELECT id FROM runs WHERE withdrawn_at IS NOT NULL AND id {among}",
        among = tx.dialect().among(1)
    );
    let query = sqlx::query(statement).bind(ids(bases.chain(runs)));
    let rows = query.fetch_all(&mut **tx).await?;
    let withdrawn: HashSet<String> = rows
        .iter()
        .map(|row| row.try_get("id"))
        .collect::<Result<_, _>>()?;
    let is_withdrawn = |event: &SeedEvent| {
        withdrawn.contains(&event.run_id.to_string())
            || base_of(event).is_some_and(|base| withdrawn.contains(&base.to_string()))
    };
    let jobs = events.filter(|event| is_withdrawn(event));
    Ok(jobs.map(|event| event.job_id).collect())
}

/// The job whose snapshot a job started from, or found to be still right.
fn base_of(event: &SeedEvent) -> Option<JobId> {
    match &event.kind {
        EventKind::Unchanged { base_job_id, .. } => Some(*base_job_id),
        EventKind::Completed { manifest } => match manifest.origin {
            Origin::Base { job_id, .. } => Some(job_id),
            Origin::Full { .. } => None,
        },
        EventKind::Started { .. } | EventKind::Failed(_) => None,
    }
}

/// Records starts of attempts, as `one::started` does.
async fn start(
    tx: &mut Tx,
    events: &[(usize, &SeedEvent)],
    applied: &mut HashMap<usize, Applied>,
) -> Result<(), CatalogError> {
    if events.is_empty() {
        return Ok(());
    }
    let columns = "job_id TEXT, next BIGINT, by_worker TEXT, trace TEXT, begun_at BIGINT";
    let statement = sql!(
        "WITH begun AS MATERIALIZED ({}) \
         UPDATE jobs SET state = '{Running}', attempt = begun.next, worker = begun.by_worker, \
             trace_id = COALESCE(begun.trace, jobs.trace_id), \
             started_at = COALESCE(jobs.started_at, begun.begun_at), moved_at = $2, retry_at = NULL \
         FROM begun WHERE jobs.id = begun.job_id AND jobs.state IN ({IN_FLIGHT}) AND (jobs.attempt < begun.next \
             OR jobs.attempt = begun.next AND jobs.state = '{Queued}' AND jobs.retry_at <= begun.begun_at \
             OR jobs.attempt = begun.next AND jobs.state = '{Running}' \
                 AND jobs.worker <> begun.by_worker AND jobs.moved_at <= begun.begun_at) \
         RETURNING id",
        tx.dialect().rows_in(columns)
    );
    let begun = events.iter().map(|(_, event)| {
        let trace_id = match &event.kind {
            EventKind::Started { trace_id } => trace_id.as_deref(),
            _ => None,
        };
        (
            event.job_id.to_string(),
            event.attempt.get(),
            printable(&event.worker),
            trace_id.map(printable),
            millis(event.at),
        )
    });
    let query = sqlx::query(statement)
        .bind(json(begun))
        .bind(millis(Utc::now()));
    let rows = query.fetch_all(&mut **tx).await?;
    let noted: HashSet<String> = rows
        .iter()
        .map(|row| row.try_get("id"))
        .collect::<Result<_, _>>()?;
    for (place, event) in events {
        let is_noted = noted.contains(&event.job_id.to_string());
        let outcome = if is_noted {
            Applied::Noted
        } else {
            Applied::Ignored
        };
        applied.insert(*place, outcome);
    }
    Ok(())
}

/// A job that ends.
struct Ended<'a> {
    event: &'a SeedEvent,
    state: JobState,
    way: Way,
    rows: i64,
    bytes: i64,
    /// What its time went into.
    steps: Option<String>,
    /// The sync configs before and after, if the job found another one.
    changed: Option<(String, String)>,
}

/// Records ends of jobs, as `one::completed` and `one::unchanged` do.
async fn end(
    tx: &mut Tx,
    events: &[(usize, &SeedEvent)],
    applied: &mut HashMap<usize, Applied>,
) -> Result<(), CatalogError> {
    if events.is_empty() {
        return Ok(());
    }
    let stores = events.iter().map(|(_, event)| &event.store_id);
    let live = live_snapshots(tx, stores).await?;
    let known = jobs_with_snapshots(tx, events).await?;
    let (mut made, mut verified, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for &(place, event) in events {
        let live = live.get(event.store_id.as_str());
        match &event.kind {
            EventKind::Completed { manifest } if !known.contains(&event.job_id) => {
                let ids = (manifest.run_id, manifest.job_id, &manifest.store_id);
                if ids == (event.run_id, event.job_id, &event.store_id)
                    && live.is_none_or(|live| live.is_replaced_by(manifest))
                {
                    made.push((&**manifest, live));
                    ended.push(completed(event, manifest, live));
                    applied.insert(
                        place,
                        Applied::Seeded {
                            rows: manifest.rows(),
                            bytes: manifest.bytes(),
                            operations: manifest.download.operations,
                        },
                    );
                }
            }
            EventKind::Unchanged {
                base_job_id,
                base_attempt,
                checkpoint,
            } => {
                if let Some(live) = live {
                    let base = (*base_job_id, i64::from(base_attempt.get()));
                    verified.push((event, base, checkpoint));
                    ended.push(unchanged(event, live));
                    applied.insert(place, Applied::Unchanged);
                }
            }
            _ => {}
        }
    }
    record_live(tx, &made).await?;
    verify(tx, &verified).await?;
    finish(tx, &ended).await
}

fn completed<'a>(
    event: &'a SeedEvent,
    manifest: &Manifest,
    live: Option<&LiveSnapshot>,
) -> Ended<'a> {
    let way = manifest.way();
    let before = live.and_then(LiveSnapshot::generation);
    let changed = match (before, manifest.checkpoint.generation()) {
        (Some(from), Some(to)) if from != to && matches!(way, Way::Full(_)) => {
            Some((from, to.to_owned()))
        }
        _ => None,
    };
    Ended {
        event,
        state: JobState::Completed,
        // The first job that finds another sync config calls it a change.
        way: match (way, &changed) {
            (Way::Full(FullReason::Changed), Some(_)) => Way::Full(FullReason::Config),
            (way, _) => way,
        },
        rows: stored(manifest.rows()),
        bytes: stored(manifest.bytes()),
        steps: stored_steps(&manifest.steps),
        changed,
    }
}

fn unchanged<'a>(event: &'a SeedEvent, live: &LiveSnapshot) -> Ended<'a> {
    Ended {
        event,
        state: JobState::Unchanged,
        way: Way::Unchanged,
        rows: live.rows,
        bytes: live.bytes,
        steps: stored_steps(&event.steps),
        changed: None,
    }
}

/// Those jobs of `events` that have a snapshot already.
async fn jobs_with_snapshots(
    tx: &mut Tx,
    events: &[(usize, &SeedEvent)],
) -> Result<HashSet<JobId>, CatalogError> {
    let statement = sql!(
        "SELECT DISTINCT job_id FROM snapshots WHERE job_id {}",
        tx.dialect().among(1)
    );
    let jobs = events.iter().map(|(_, event)| event.job_id);
    let rows = sqlx::query(statement)
        .bind(ids(jobs))
        .fetch_all(&mut **tx)
        .await?;
    rows.iter()
        .map(|row| parsed(row, "job_id", "a job id"))
        .collect()
}

/// Records that the snapshots of these jobs and attempts are still right, if they are live.
async fn verify(
    tx: &mut Tx,
    bases: &[(&SeedEvent, (JobId, i64), &Checkpoint)],
) -> Result<(), CatalogError> {
    if bases.is_empty() {
        return Ok(());
    }
    let statement = sql!(
        "WITH found AS MATERIALIZED ({}) \
         UPDATE snapshots SET verified_at = found.found_at, \
             generation = COALESCE(found.config, snapshots.generation) \
         FROM found WHERE snapshots.job_id = found.base AND snapshots.attempt = found.number \
             AND snapshots.state || '' = '{Live}' AND snapshots.verified_at < found.found_at",
        (tx.dialect()).rows_in("base TEXT, number BIGINT, found_at BIGINT, config TEXT")
    );
    let found = bases.iter().map(|(event, (job_id, attempt), checkpoint)| {
        let config = checkpoint.generation().map(printable);
        (job_id.to_string(), *attempt, millis(event.at), config)
    });
    let query = sqlx::query(statement).bind(json(found));
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Ends jobs in flight, as `one::finish` does.
async fn finish(tx: &mut Tx, ended: &[Ended<'_>]) -> Result<(), CatalogError> {
    if ended.is_empty() {
        return Ok(());
    }
    let columns = "job_id TEXT, new_state TEXT, ended_at BIGINT, by_worker TEXT, number BIGINT, went TEXT, \
         because TEXT, row_sum BIGINT, byte_sum BIGINT, before TEXT, after TEXT, parts TEXT";
    let statement = sql!(
        "WITH ended AS MATERIALIZED ({}) \
         UPDATE jobs SET state = ended.new_state, finished_at = ended.ended_at, worker = ended.by_worker, \
             attempt = CASE WHEN jobs.attempt < ended.number THEN ended.number ELSE jobs.attempt END, \
             way = ended.went, why = ended.because, row_count = ended.row_sum, byte_count = ended.byte_sum, \
             from_generation = COALESCE(ended.before, jobs.from_generation), \
             to_generation = COALESCE(ended.after, jobs.to_generation), steps = ended.parts \
         FROM ended WHERE jobs.id = ended.job_id AND jobs.state IN ({IN_FLIGHT})",
        tx.dialect().rows_in(columns)
    );
    let ended = ended.iter().map(|job| {
        let (from, to) = job.changed.clone().unzip();
        (
            job.event.job_id.to_string(),
            job.state.name(),
            millis(job.event.at),
            printable(&job.event.worker),
            job.event.attempt.get(),
            job.way.name(),
            job.way.why(),
            job.rows,
            job.bytes,
            from.as_deref().map(printable),
            to.as_deref().map(printable),
            job.steps.as_deref(),
        )
    });
    let query = sqlx::query(statement).bind(json(ended));
    query.execute(&mut **tx).await?;
    Ok(())
}

//! Applies one event, whatever it is.

use chrono::Utc;
use seedbed_protocol::{
    Attempt, JobId,
    manifest::{Checkpoint, FullReason, Manifest, StepTiming, Way},
    message::{EventKind, Failure, FailureKind, SeedEvent},
};
use sqlx::Row;

use super::applied::Applied;
use crate::catalog::{
    control::is_of_forgotten,
    database::{CatalogError, Tx, millis, parsed, printable, sql, stored},
    jobs::stored_steps,
    quarantine::reason_of,
    snapshots::{Recorded, is_withdrawn, live_generation, record_snapshot},
    state::{
        IN_FLIGHT,
        JobState::{self, Completed, Queued, Running},
        LATE_SNAPSHOT_COUNTS,
        SnapshotState::Live,
        failure_kind,
    },
};

pub(super) async fn apply_event(tx: &mut Tx, event: &SeedEvent) -> Result<Applied, CatalogError> {
    let known =
        sqlx::query("SELECT state FROM jobs WHERE id = $1 AND store_id = $2 AND run_id = $3")
            .bind(event.job_id.to_string())
            .bind(event.store_id.to_string())
            .bind(event.run_id.to_string())
            .fetch_optional(&mut **tx)
            .await?;
    let Some(job) = known else {
        return Ok(
            match is_of_forgotten(tx, &event.store_id, event.job_id).await? {
                true => Applied::Ignored,
                false => Applied::UnknownJob,
            },
        );
    };
    let state: JobState = parsed(&job, "state", "the state of a job")?;
    if state == JobState::Abandoned {
        return Ok(Applied::Ignored);
    }
    match &event.kind {
        EventKind::Started { trace_id } => started(tx, event, trace_id.as_deref()).await,
        EventKind::Completed { manifest } => completed(tx, event, manifest).await,
        EventKind::Unchanged {
            base_job_id,
            base_attempt,
            checkpoint,
        } => unchanged(tx, event, (*base_job_id, *base_attempt), checkpoint).await,
        EventKind::Failed(failure) => failed(tx, event, failure).await,
    }
}

/// Records the start of an attempt. Ignored if an event of this attempt or of a later one came before; but an attempt that
/// the service was too busy for starts again, not before its retry is due, and so does one that was given back, by another
/// worker.
async fn started(
    tx: &mut Tx,
    event: &SeedEvent,
    trace_id: Option<&str>,
) -> Result<Applied, CatalogError> {
    let updated = sqlx::query(sql!(
        "UPDATE jobs SET state = '{Running}', attempt = $2, worker = $3, \
             trace_id = COALESCE($4, trace_id), started_at = COALESCE(started_at, $5), \
             moved_at = $6, retry_at = NULL \
         WHERE id = $1 AND state IN ({IN_FLIGHT}) AND (attempt < $2 \
             OR attempt = $2 AND state = '{Queued}' AND retry_at <= $5 \
             OR attempt = $2 AND state = '{Running}' AND worker <> $3 AND moved_at <= $5)"
    ))
    .bind(event.job_id.to_string())
    .bind(i64::from(event.attempt.get()))
    .bind(printable(&event.worker))
    .bind(trace_id.map(printable))
    .bind(millis(event.at))
    .bind(millis(Utc::now()))
    .execute(&mut **tx)
    .await?;
    Ok(noted(updated.rows_affected()))
}

/// Records a snapshot. It is verified, and therefore counts even if the job was failed or cancelled before.
async fn completed(
    tx: &mut Tx,
    event: &SeedEvent,
    manifest: &Manifest,
) -> Result<Applied, CatalogError> {
    let ids = (manifest.run_id, manifest.job_id, &manifest.store_id);
    if ids != (event.run_id, event.job_id, &event.store_id) {
        return Ok(Applied::UnknownJob);
    }
    let before = live_generation(tx, manifest).await?;
    // A rebuild may have recorded the snapshot from its manifest while the job is still in flight.
    if record_snapshot(tx, manifest).await? == Recorded::Withdrawn {
        return failed(tx, event, &base_withdrawn()).await;
    }
    let seeded = Applied::Seeded {
        rows: manifest.rows(),
        bytes: manifest.bytes(),
        operations: manifest.download.operations,
    };
    let size = (stored(manifest.rows()), stored(manifest.bytes()));
    record_way(tx, event.job_id, manifest.way(), size).await?;
    record_steps(tx, event.job_id, &manifest.steps).await?;
    if let (Some(from), Some(to)) = (before, manifest.checkpoint.generation())
        && from != to
        && matches!(manifest.way(), Way::Full(_))
    {
        record_config_change(tx, event.job_id, &from, to).await?;
    }
    let finished = finish(tx, event, Completed, seeded).await?;
    if finished == Applied::Ignored {
        sqlx::query(sql!(
            "UPDATE jobs SET state = '{Completed}' \
             WHERE id = $1 AND state IN ({LATE_SNAPSHOT_COUNTS})"
        ))
        .bind(event.job_id.to_string())
        .execute(&mut **tx)
        .await?;
    }
    Ok(finished)
}

/// Records that the live snapshot is still right. Fails the job if the base was removed and the store has no live
/// snapshot at all.
async fn unchanged(
    tx: &mut Tx,
    event: &SeedEvent,
    (base_job_id, base_attempt): (JobId, Attempt),
    checkpoint: &Checkpoint,
) -> Result<Applied, CatalogError> {
    if is_withdrawn(tx, base_job_id).await? {
        return failed(tx, event, &base_withdrawn()).await;
    }
    sqlx::query(sql!(
        "UPDATE snapshots SET verified_at = $3, generation = COALESCE($4, generation) \
         WHERE job_id = $1 AND attempt = $2 AND state = '{Live}' AND verified_at < $3"
    ))
    .bind(base_job_id.to_string())
    .bind(i64::from(base_attempt.get()))
    .bind(millis(event.at))
    .bind(checkpoint.generation().map(printable))
    .execute(&mut **tx)
    .await?;
    let live = sqlx::query(sql!(
        "SELECT row_count, byte_count FROM snapshots WHERE store_id = $1 AND state = '{Live}'"
    ))
    .bind(event.store_id.to_string())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(live) = live else {
        let removed = Failure {
            kind: FailureKind::Transient,
            step: "compare".to_owned(),
            message: "nothing has changed, but the snapshot was removed meanwhile; the next run, or a retry, makes a new one"
                .to_owned(),
            retry_at: None,
        };
        return failed(tx, event, &removed).await;
    };
    let size = (live.try_get("row_count")?, live.try_get("byte_count")?);
    record_way(tx, event.job_id, Way::Unchanged, size).await?;
    record_steps(tx, event.job_id, &event.steps).await?;
    finish(tx, event, JobState::Unchanged, Applied::Unchanged).await
}

/// Why a job has failed whose run, or the snapshot that it started from, was taken back meanwhile.
fn base_withdrawn() -> Failure {
    Failure {
        kind: FailureKind::Transient,
        step: "compare".to_owned(),
        message: "its run, or the snapshot that it started from, was withdrawn meanwhile; the next run, or a retry, makes a new one"
            .to_owned(),
        retry_at: None,
    }
}

/// Records how the snapshot of a job was made, and its rows and bytes.
async fn record_way(
    tx: &mut Tx,
    job_id: JobId,
    way: Way,
    (rows, bytes): (i64, i64),
) -> Result<(), CatalogError> {
    sqlx::query(
        "UPDATE jobs SET way = $2, why = $3, row_count = $4, byte_count = $5 WHERE id = $1",
    )
    .bind(job_id.to_string())
    .bind(way.name())
    .bind(way.why())
    .bind(rows)
    .bind(bytes)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Records what the time of a job went into.
async fn record_steps(
    tx: &mut Tx,
    job_id: JobId,
    steps: &[StepTiming],
) -> Result<(), CatalogError> {
    sqlx::query("UPDATE jobs SET steps = $2 WHERE id = $1")
        .bind(job_id.to_string())
        .bind(stored_steps(steps))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Records that a job found another sync config than its store's snapshot before was made with.
async fn record_config_change(
    tx: &mut Tx,
    job_id: JobId,
    from: &str,
    to: &str,
) -> Result<(), CatalogError> {
    sqlx::query(
        "UPDATE jobs SET from_generation = $2, to_generation = $3, \
             why = CASE WHEN why = $4 THEN $5 ELSE why END WHERE id = $1",
    )
    .bind(job_id.to_string())
    .bind(printable(from))
    .bind(printable(to))
    .bind(FullReason::Changed.name())
    .bind(FullReason::Config.name())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Records a failed attempt. The job is queued again if there will be a retry, else it has failed.
async fn failed(
    tx: &mut Tx,
    event: &SeedEvent,
    failure: &Failure,
) -> Result<Applied, CatalogError> {
    let recorded = sqlx::query(sql!(
        "UPDATE jobs SET failure_kind = $3, failure_step = $4, failure_message = $5, \
             attempt = $2, worker = $6, state = '{Queued}', moved_at = $7, retry_at = $8, \
             failure_reason = $9, steps = $10 \
         WHERE id = $1 AND attempt <= $2 AND state IN ({IN_FLIGHT})"
    ))
    .bind(event.job_id.to_string())
    .bind(i64::from(event.attempt.get()))
    .bind(failure_kind(failure.kind))
    .bind(printable(&failure.step))
    .bind(printable(&failure.message))
    .bind(printable(&event.worker))
    .bind(millis(Utc::now()))
    .bind(failure.retry_at.map(millis))
    .bind(printable(&reason_of(
        &failure.step,
        &failure.message,
        &event.store_id,
    )))
    .bind(stored_steps(&event.steps))
    .execute(&mut **tx)
    .await?;
    if failure.retry_at.is_some() || recorded.rows_affected() == 0 {
        return Ok(noted(recorded.rows_affected()));
    }
    finish(tx, event, JobState::Failed, Applied::Failed).await
}

/// Ends a job in flight.
async fn finish(
    tx: &mut Tx,
    event: &SeedEvent,
    state: JobState,
    applied: Applied,
) -> Result<Applied, CatalogError> {
    let updated = sqlx::query(sql!(
        "UPDATE jobs SET state = $2, finished_at = $3, worker = $4, \
             attempt = CASE WHEN attempt < $5 THEN $5 ELSE attempt END \
         WHERE id = $1 AND state IN ({IN_FLIGHT})"
    ))
    .bind(event.job_id.to_string())
    .bind(state.name())
    .bind(millis(event.at))
    .bind(printable(&event.worker))
    .bind(i64::from(event.attempt.get()))
    .execute(&mut **tx)
    .await?;
    Ok(match updated.rows_affected() {
        0 => Applied::Ignored,
        _ => applied,
    })
}

fn noted(rows_affected: u64) -> Applied {
    match rows_affected {
        0 => Applied::Ignored,
        _ => Applied::Noted,
    }
}

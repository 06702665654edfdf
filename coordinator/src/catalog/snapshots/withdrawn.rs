//! What is marked as withdrawn: snapshots, and the runs that made them.

use seedbed_protocol::{JobId, RunId, manifest::Manifest};

use crate::catalog::database::{CatalogError, Tx, count, sql};

/// Returns whether the snapshot of a job was withdrawn.
pub(in crate::catalog) async fn is_withdrawn(
    tx: &mut Tx,
    job_id: JobId,
) -> Result<bool, CatalogError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS n FROM snapshots WHERE job_id = $1 AND withdrawn_at IS NOT NULL",
    )
    .bind(job_id.to_string())
    .fetch_one(&mut **tx)
    .await?;
    Ok(count(&row, "n")? > 0)
}

/// Returns whether a run was withdrawn.
pub(super) async fn is_run_withdrawn(tx: &mut Tx, run_id: RunId) -> Result<bool, CatalogError> {
    let row =
        sqlx::query("SELECT COUNT(*) AS n FROM runs WHERE id = $1 AND withdrawn_at IS NOT NULL")
            .bind(run_id.to_string())
            .fetch_one(&mut **tx)
            .await?;
    Ok(count(&row, "n")? > 0)
}

/// Withdraws a snapshot that is not live.
pub(super) async fn withdraw_one(tx: &mut Tx, manifest: &Manifest) -> Result<(), CatalogError> {
    sqlx::query(sql!(
        "UPDATE snapshots SET withdrawn_at = {}, latest_stale = 1 WHERE job_id = $1 AND attempt = $2",
        tx.dialect().now()
    ))
    .bind(manifest.job_id.to_string())
    .bind(i64::from(manifest.attempt.get()))
    .execute(&mut **tx)
    .await?;
    note_change(tx).await
}

/// Tells servers that what they remember of snapshots is not true any more.
pub(in crate::catalog) async fn note_change(tx: &mut Tx) -> Result<(), CatalogError> {
    sqlx::query("UPDATE locks SET taken = taken + 1 WHERE name = 'delivery'")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

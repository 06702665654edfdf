//! Claims of scheduled times, so that of several coordinators one starts the run.
//!
//! A claim is a lease by the database's clock, and is done when the list of the run is committed, in the same
//! transaction. A coordinator that is killed in between lets it run out, and another one takes it over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use seedbed_protocol::JobId;

use crate::catalog::database::{Catalog, CatalogError, Tx, millis, sql, stored, time};

/// A scheduled time that this process has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleClaim {
    due: DateTime<Utc>,
    holder: String,
}

impl ScheduleClaim {
    fn of(due: DateTime<Utc>) -> Self {
        Self {
            due,
            holder: JobId::new().to_string(),
        }
    }

    /// Returns the scheduled time.
    pub fn due(&self) -> DateTime<Utc> {
        self.due
    }
}

impl Catalog {
    /// Claims the scheduled run of `due` for the time of `lease`; `None` unless the caller is the first to do so.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn claim_schedule(
        &self,
        due: DateTime<Utc>,
        lease: Duration,
    ) -> Result<Option<ScheduleClaim>, CatalogError> {
        let mut transaction = self.pool.begin().await?;
        let first =
            sqlx::query("UPDATE locks SET taken = $1 WHERE name = 'schedule' AND taken < $1")
                .bind(millis(due))
                .execute(&mut *transaction)
                .await?;
        if first.rows_affected() == 0 {
            return Ok(None);
        }
        let claim = ScheduleClaim::of(due);
        sqlx::query(sql!(
            "INSERT INTO schedule_claims (due, holder, lease_until) VALUES ($1, $2, {} + $3)",
            self.dialect.now()
        ))
        .bind(millis(claim.due))
        .bind(claim.holder.clone())
        .bind(lease_millis(lease))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(claim))
    }

    /// Takes over the newest claim, if its lease has run out; drops older ones that have, since the run of the newest is
    /// theirs as well.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn take_over_claim(
        &self,
        lease: Duration,
    ) -> Result<Option<ScheduleClaim>, CatalogError> {
        let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM schedule_claims")
            .fetch_one(&self.readers)
            .await?;
        if waiting == 0 {
            return Ok(None);
        }
        let now = self.dialect.now();
        let mut transaction = self.pool.begin().await?;
        sqlx::query(sql!(
            "DELETE FROM schedule_claims \
             WHERE lease_until < {now} AND due < (SELECT MAX(due) FROM schedule_claims)"
        ))
        .execute(&mut *transaction)
        .await?;
        let holder = JobId::new().to_string();
        let taken: Option<i64> = sqlx::query_scalar(sql!(
            "UPDATE schedule_claims SET holder = $1, lease_until = {now} + $2 \
             WHERE lease_until < {now} RETURNING due"
        ))
        .bind(holder.clone())
        .bind(lease_millis(lease))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        taken
            .map(|due| {
                Ok(ScheduleClaim {
                    due: time(due)?,
                    holder,
                })
            })
            .transpose()
    }

    /// Renews the lease of a claim; whether it is still the caller's.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn renew_claim(
        &self,
        claim: &ScheduleClaim,
        lease: Duration,
    ) -> Result<bool, CatalogError> {
        let renewed = sqlx::query(sql!(
            "UPDATE schedule_claims SET lease_until = {} + $3 WHERE due = $1 AND holder = $2",
            self.dialect.now()
        ))
        .bind(millis(claim.due))
        .bind(claim.holder.clone())
        .bind(lease_millis(lease))
        .execute(&self.pool)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }
}

/// Ends a claim, whose run is listed by the same transaction. Fails if another coordinator has taken it over.
pub(in crate::catalog) async fn end_claim(
    transaction: &mut Tx,
    claim: &ScheduleClaim,
) -> Result<(), CatalogError> {
    let ended = sqlx::query("DELETE FROM schedule_claims WHERE due = $1 AND holder = $2")
        .bind(millis(claim.due))
        .bind(claim.holder.clone())
        .execute(&mut **transaction)
        .await?;
    match ended.rows_affected() {
        0 => Err(CatalogError::ClaimLost { due: claim.due }),
        _ => Ok(()),
    }
}

fn lease_millis(lease: Duration) -> i64 {
    stored(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX))
}

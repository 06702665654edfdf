//! The table `sessions`: who has signed in by a provider of logins, each with a role and an end. Every request asks the catalog, so
//! that a session which is ended is refused by all servers from then on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{digest::sha256_hex, settings::Secret};
use sqlx::{Row, any::AnyRow};
use uuid::Uuid;

use super::role::Role;
use crate::catalog::database::{Catalog, CatalogError, Lock, millis, parsed, printable, sql, time};

/// How long a session stays in the table when it is over. Longer than a login may take, so that none makes two.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSession {
    /// Its id, a UUIDv7.
    pub id: String,
    /// The provider's id of the person.
    pub subject: String,
    /// A name for people. May be the same for several.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Until when, by the catalog's clock.
    pub expires_at: DateTime<Utc>,
}

impl LoginSession {
    /// Returns the person as the audit log has them.
    pub fn actor(&self) -> String {
        actor(&self.name, &self.subject)
    }
}

/// A login that has succeeded.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The state of the login, which no other has.
    pub state: String,
    /// The provider's id of the person.
    pub subject: String,
    /// A name for people.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// How long.
    pub lifetime: Duration,
}

impl NewSession {
    /// Returns the person as the audit log has them.
    pub fn actor(&self) -> String {
        actor(&self.name, &self.subject)
    }
}

impl Catalog {
    /// Begins a session, and forgets those that are long over. Returns what the browser shows from then on; `None` if this login
    /// has made one already.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn begin_session(&self, new: &NewSession) -> Result<Option<Secret>, CatalogError> {
        let shown = Secret::random();
        let mut transaction = self.locked(Lock::Writer).await?;
        let now = transaction.now().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1")
            .bind(millis(now - KEPT))
            .execute(&mut *transaction)
            .await?;
        let lifetime = TimeDelta::from_std(new.lifetime).unwrap_or(KEPT);
        let made = sqlx::query(
            "INSERT INTO sessions (id, hash, login, subject, name, role, made_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (login) DO NOTHING",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(sha256_hex(shown.expose()))
        .bind(sha256_hex(&new.state))
        .bind(printable(&new.subject))
        .bind(printable(&new.name))
        .bind(new.role.name())
        .bind(millis(now))
        .bind(millis(now + lifetime))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((made.rows_affected() > 0).then_some(shown))
    }

    /// Returns the session of a browser that shows this, if it is good now.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn session(&self, shown: &str) -> Result<Option<LoginSession>, CatalogError> {
        let row = sqlx::query(sql!(
            "SELECT id, subject, name, role, expires_at FROM sessions \
             WHERE hash = $1 AND ended_at IS NULL AND expires_at > {}",
            self.dialect.now()
        ))
        .bind(sha256_hex(shown))
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(session_of).transpose()
    }

    /// Returns whether this session is still good.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn is_session_good(&self, id: &str) -> Result<bool, CatalogError> {
        let good = sqlx::query(sql!(
            "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > {}",
            self.dialect.now()
        ))
        .bind(printable(id))
        .fetch_optional(&self.readers)
        .await?;
        Ok(good.is_some())
    }

    /// Ends a session, on all servers.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn end_session(&self, id: &str) -> Result<(), CatalogError> {
        sqlx::query(sql!(
            "UPDATE sessions SET ended_at = {} WHERE id = $1 AND ended_at IS NULL",
            self.dialect.now()
        ))
        .bind(printable(id))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Returns somebody who has signed in as the audit log has them. Names may be a person's own choice, so the provider's id is always in
/// it.
pub fn actor(name: &str, subject: &str) -> String {
    match name == subject {
        true => format!("user {subject}"),
        false => format!("user {name} ({subject})"),
    }
}

fn session_of(row: &AnyRow) -> Result<LoginSession, CatalogError> {
    Ok(LoginSession {
        id: row.try_get("id")?,
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        role: parsed(row, "role", "a role")?,
        expires_at: time(row.try_get("expires_at")?)?,
    })
}

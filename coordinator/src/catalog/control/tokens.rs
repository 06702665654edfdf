//! The table `api_tokens`: what programs and people show to the API, each with a role, an end and a last use.
//!
//! A token is 256 random bits, so one SHA-256 of it is kept: a slow hash is for what people choose, whose few possible values can be
//! tried. Every request asks the catalog, so that one which is revoked is refused by all servers from then on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    digest::sha256_hex,
    settings::{LONGEST_DURATION, Secret},
    text::is_hidden,
};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::role::Role;
use crate::catalog::database::{
    Catalog, CatalogError, Lock, Tx, millis, parsed, printable, sql, time,
};

/// What every token begins with, so that scanners for secrets find one that has got into a file.
const PREFIX: &str = "seedbed_";

/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 64;

/// A last use is written once in this time.
const USE_PAUSE: TimeDelta = TimeDelta::seconds(60);

/// The columns of a token.
const COLUMNS: &str = "id, name, role, made_by, made_at, expires_at, last_used_at, revoked_at";

/// A token of the API, without itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its id, a UUIDv7.
    pub id: String,
    /// Its name, by which the audit log calls its bearer.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// Who made it.
    pub made_by: String,
    /// When, by the catalog's clock.
    pub made_at: DateTime<Utc>,
    /// Until when it is good; null for ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute; null for never.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is refused; null if it is not.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// What a token shall be like.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its name; none that is in use.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// Who makes it.
    pub made_by: String,
    /// The token that it is made with: it goes with that one, and is good for no longer.
    pub made_with: Option<String>,
    /// How long it is good; `None` for ever.
    pub lifetime: Option<Duration>,
}

impl Catalog {
    /// Makes a token. It is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`CatalogError::TokenName`], [`CatalogError::TokenExists`], [`CatalogError::UnknownToken`] when the one that it is made with
    /// has been revoked meanwhile.
    pub async fn create_token(&self, new: &NewToken) -> Result<(ApiToken, Secret), CatalogError> {
        check_name(&new.name)?;
        let token = Secret::new(format!("{PREFIX}{}", Secret::random().expose()));
        let mut transaction = self.locked(Lock::Writer).await?;
        let now = transaction.now().await?;
        let same = sqlx::query(sql!(
            "SELECT {COLUMNS} FROM api_tokens WHERE name = $1 AND revoked_at IS NULL"
        ))
        .bind(new.name.clone())
        .fetch_all(&mut *transaction)
        .await?;
        for row in &same {
            if token_of(row)?.is_good_at(now) {
                return Err(CatalogError::TokenExists {
                    name: new.name.clone(),
                });
            }
        }
        let mut made = ApiToken {
            id: Uuid::now_v7().to_string(),
            name: new.name.clone(),
            role: new.role,
            made_by: new.made_by.clone(),
            made_at: now,
            expires_at: new.lifetime.map(|lifetime| end(now, lifetime)),
            last_used_at: None,
            revoked_at: None,
        };
        if let Some(maker) = &new.made_with {
            let maker = by_id(&mut transaction, maker).await?;
            let maker = maker.filter(|maker| maker.is_good_at(now));
            let maker = maker.ok_or_else(|| unknown_token(&new.name))?;
            made.expires_at = made.expires_at.into_iter().chain(maker.expires_at).min();
        }
        sqlx::query(
            "INSERT INTO api_tokens (id, name, hash, role, made_by, made_with, made_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(made.id.clone())
        .bind(made.name.clone())
        .bind(sha256_hex(token.expose()))
        .bind(made.role.name())
        .bind(printable(&made.made_by))
        .bind(new.made_with.clone())
        .bind(millis(made.made_at))
        .bind(made.expires_at.map(millis))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((made, token))
    }

    /// Returns the token that this is, if it is good now.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn token(&self, shown: &str) -> Result<Option<ApiToken>, CatalogError> {
        if !shown.starts_with(PREFIX) {
            return Ok(None);
        }
        let row = sqlx::query(sql!(
            "SELECT {COLUMNS} FROM api_tokens WHERE hash = $1 AND revoked_at IS NULL \
             AND (expires_at IS NULL OR expires_at > {})",
            self.dialect.now()
        ))
        .bind(sha256_hex(shown))
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(token_of).transpose()
    }

    /// Returns whether this token is still good.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn is_token_good(&self, id: &str) -> Result<bool, CatalogError> {
        let good = sqlx::query(sql!(
            "SELECT id FROM api_tokens WHERE id = $1 AND revoked_at IS NULL \
             AND (expires_at IS NULL OR expires_at > {})",
            self.dialect.now()
        ))
        .bind(printable(id))
        .fetch_optional(&self.readers)
        .await?;
        Ok(good.is_some())
    }

    /// Returns whether any token is good now.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn has_tokens(&self) -> Result<bool, CatalogError> {
        let good = sqlx::query(sql!(
            "SELECT id FROM api_tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > {}) LIMIT 1",
            self.dialect.now()
        ))
        .fetch_optional(&self.readers)
        .await?;
        Ok(good.is_some())
    }

    /// Records that a token was used just now, once a minute.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn token_was_used(&self, token: &ApiToken) -> Result<(), CatalogError> {
        let now = self.now().await?;
        if token
            .last_used_at
            .is_some_and(|last| now - last < USE_PAUSE)
        {
            return Ok(());
        }
        sqlx::query(
            "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $3)",
        )
        .bind(token.id.clone())
        .bind(millis(now))
        .bind(millis(now - USE_PAUSE))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns the tokens, the newest first; those of `maker` alone, if given.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn tokens(&self, maker: Option<&str>) -> Result<Vec<ApiToken>, CatalogError> {
        let rows = sqlx::query(sql!(
            "SELECT {COLUMNS} FROM api_tokens WHERE $1 = 1 OR made_by = $2 ORDER BY made_at DESC, id DESC"
        ))
        .bind(i64::from(maker.is_none()))
        .bind(printable(maker.unwrap_or_default()))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(token_of).collect()
    }

    /// Revokes a token, by its id or by the name of a good one, and those that were made with it; of `maker` alone, if given. Returns
    /// how many that were.
    ///
    /// # Errors
    /// [`CatalogError::UnknownToken`] when there is none.
    pub async fn revoke_token(
        &self,
        which: &str,
        maker: Option<&str>,
    ) -> Result<u64, CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let now = transaction.now().await?;
        let found = sqlx::query(
            "SELECT id FROM api_tokens WHERE (id = $1 OR name = $1) AND revoked_at IS NULL \
             AND ($2 = 1 OR made_by = $3)",
        )
        .bind(printable(which))
        .bind(i64::from(maker.is_none()))
        .bind(printable(maker.unwrap_or_default()))
        .fetch_all(&mut *transaction)
        .await?;
        let mut left = Vec::new();
        for row in &found {
            left.push(row.try_get::<String, _>("id")?);
        }
        if left.is_empty() {
            return Err(unknown_token(which));
        }
        let mut revoked = 0;
        while let Some(id) = left.pop() {
            let done = sqlx::query(
                "UPDATE api_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
            )
            .bind(id.clone())
            .bind(millis(now))
            .execute(&mut *transaction)
            .await?;
            revoked += done.rows_affected();
            let made = sqlx::query(
                "SELECT id FROM api_tokens WHERE made_with = $1 AND revoked_at IS NULL",
            )
            .bind(id)
            .fetch_all(&mut *transaction)
            .await?;
            for row in &made {
                left.push(row.try_get("id")?);
            }
        }
        transaction.commit().await?;
        Ok(revoked)
    }
}

impl ApiToken {
    /// Whether it is neither revoked nor expired.
    fn is_good_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<ApiToken>, CatalogError> {
    let row = sqlx::query(sql!("SELECT {COLUMNS} FROM api_tokens WHERE id = $1"))
        .bind(printable(id))
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(token_of).transpose()
}

/// Refuses a name that the audit log could not show as it is.
fn check_name(name: &str) -> Result<(), CatalogError> {
    let is_shown = |name: &str| !name.contains(|c: char| c.is_control() || is_hidden(c));
    match name.trim() == name && !name.is_empty() && is_shown(name) {
        true if name.chars().count() <= MAX_NAME_CHARS => Ok(()),
        _ => Err(CatalogError::TokenName {
            name: name.to_owned(),
        }),
    }
}

/// When what is made `now` ends.
fn end(now: DateTime<Utc>, lifetime: Duration) -> DateTime<Utc> {
    now + lifetime.min(LONGEST_DURATION)
}

fn unknown_token(which: &str) -> CatalogError {
    CatalogError::UnknownToken {
        which: which.to_owned(),
    }
}

fn token_of(row: &AnyRow) -> Result<ApiToken, CatalogError> {
    let at = |column| -> Result<Option<DateTime<Utc>>, CatalogError> {
        let at: Option<i64> = row.try_get(column)?;
        at.map(time).transpose()
    };
    Ok(ApiToken {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: parsed(row, "role", "a role")?,
        made_by: row.try_get("made_by")?,
        made_at: time(row.try_get("made_at")?)?,
        expires_at: at("expires_at")?,
        last_used_at: at("last_used_at")?,
        revoked_at: at("revoked_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_lifetime_has_an_end() {
        let now = Utc::now();
        for days in [36_501, 99_999_999, u64::MAX / 86_400] {
            let lifetime = Duration::from_secs(days * 86_400);
            assert_eq!(end(now, lifetime), now + LONGEST_DURATION, "{days} days");
        }
    }
}

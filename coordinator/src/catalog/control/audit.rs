//! The table `audit`: who did what, when and from where, and what came of it. An entry is written before its action begins, so
//! that an action of which nothing was recorded was not begun.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Row, any::AnyRow};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::catalog::database::{
    Catalog, CatalogError, cut_page, millis, pattern, printable, sql, time,
};

/// How much of a text is kept, in characters.
const MAX_CHARS: usize = 2_000;

/// The id of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditId(String);

/// What somebody is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deed {
    /// Who: an account of the machine, a token, or a person who has signed in.
    pub actor: String,
    /// The shell's machine, or the caller's address.
    pub origin: String,
    /// What, as `run.start`.
    pub action: String,
    /// The store, the run or the like; empty for none.
    pub subject: String,
    /// What else was asked for, as JSON; empty for nothing. Never a secret.
    pub detail: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its id, a UUIDv7.
    pub id: String,
    /// When it began, by the catalog's clock.
    pub at: DateTime<Utc>,
    /// Who: an account of a machine, a token, or a person who has signed in.
    pub actor: String,
    /// The machine of a shell, or the address of a caller.
    pub origin: String,
    /// What, as `run.start`.
    pub action: String,
    /// The store, the run or the like; null for none.
    pub subject: Option<String>,
    /// What else was asked for, as JSON; null for nothing.
    pub detail: Option<String>,
    /// `done`, or why not; null if nothing was heard of its end.
    pub outcome: Option<String>,
}

/// A place in the log for the next page: the time and id of the last entry of this one.
pub type AuditCursor = (DateTime<Utc>, String);

impl Catalog {
    /// Records that somebody begins an action.
    ///
    /// # Errors
    /// [`CatalogError::Database`]; then the action must not begin.
    pub async fn begin_deed(&self, deed: &Deed) -> Result<AuditId, CatalogError> {
        let id = Uuid::now_v7().to_string();
        sqlx::query(sql!(
            "INSERT INTO audit (id, at, actor, origin, action, subject, detail) \
             VALUES ($1, {}, $2, $3, $4, $5, $6)",
            self.dialect.now()
        ))
        .bind(id.clone())
        .bind(kept(&deed.actor))
        .bind(kept(&deed.origin))
        .bind(kept(&deed.action))
        .bind(kept(&deed.subject))
        .bind(kept(&deed.detail))
        .execute(&self.pool)
        .await?;
        Ok(AuditId(id))
    }

    /// Records what came of an action: `done`, or why not.
    ///
    /// # Errors
    /// [`CatalogError::Database`]; then the entry stays without an end.
    pub async fn end_deed(&self, id: &AuditId, outcome: &str) -> Result<(), CatalogError> {
        sqlx::query("UPDATE audit SET outcome = $2 WHERE id = $1")
            .bind(id.0.clone())
            .bind(kept(outcome))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns a page of the log, the newest first: at most `limit` after `after`, of entries whose actor, action or subject
    /// contains `search`; and the cursor of the next page.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn audit_page(
        &self,
        search: Option<&str>,
        after: Option<AuditCursor>,
        limit: u32,
    ) -> Result<(Vec<AuditEntry>, Option<AuditCursor>), CatalogError> {
        let (at, id) = match after {
            Some((at, id)) => (millis(at), id),
            None => (i64::MAX, String::new()),
        };
        let like = |column| format!("LOWER({column}) LIKE LOWER($1) ESCAPE '\\'");
        let rows = sqlx::query(sql!(
            "SELECT id, at, actor, origin, action, subject, detail, outcome FROM audit \
             WHERE ({} OR {} OR {}) AND (at < $2 OR at = $2 AND id < $3) \
             ORDER BY at DESC, id DESC LIMIT $4",
            like("actor"),
            like("action"),
            like("subject")
        ))
        .bind(pattern(search))
        .bind(at)
        .bind(printable(&id))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await?;
        let entries: Result<Vec<_>, _> = rows.iter().map(entry).collect();
        let mut entries = entries?;
        let next = cut_page(&mut entries, limit, |last| (last.at, last.id.clone()));
        Ok((entries, next))
    }
}

fn kept(text: &str) -> String {
    printable(text).chars().take(MAX_CHARS).collect()
}

fn entry(row: &AnyRow) -> Result<AuditEntry, CatalogError> {
    let given = |column| -> Result<Option<String>, CatalogError> {
        let text: String = row.try_get(column)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    };
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: time(row.try_get("at")?)?,
        actor: row.try_get("actor")?,
        origin: row.try_get("origin")?,
        action: row.try_get("action")?,
        subject: given("subject")?,
        detail: given("detail")?,
        outcome: row.try_get("outcome")?,
    })
}

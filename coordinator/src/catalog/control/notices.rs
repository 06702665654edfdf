//! The table `notices`: what people are to be told of, each once, and whether they were.
//!
//! Any server finds what there is to tell, and any server sends it: a try is a lease, so that two do not send at once. A kill
//! between sending and its record has it sent again, with the same id.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::digest::sha256_hex;
use serde::{Deserialize, Serialize};
use sqlx::{Row, any::AnyRow};

use crate::catalog::{
    database::{
        Catalog, CatalogError, Lock, Tx, count, damaged, millis, parsed, printable, sql, time,
    },
    quarantine::key_of,
    snapshots::{FreshCount, FreshnessPromise, count_fresh},
    state::{JobState, RunState},
};

/// How far back events are looked for: servers may have been away.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// How long notices stay: longer than events are looked for.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Notices of one kind that are made at a time.
const MOST: i64 = 20;

/// What people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeEvent {
    /// A run has ended with failed or abandoned jobs.
    RunFailed,
    /// More stores than are allowed have no snapshot that is young enough.
    FreshnessMissed,
    /// Jobs fail for a reason that was not known before.
    NewReason,
    /// The sync config of the service has changed.
    ConfigChanged,
    /// Somebody tries whether notices arrive.
    Test,
}

impl NoticeEvent {
    /// Each that can be asked for.
    pub const EACH: [Self; 4] = [
        Self::RunFailed,
        Self::FreshnessMissed,
        Self::NewReason,
        Self::ConfigChanged,
    ];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunFailed => "run_failed",
            Self::FreshnessMissed => "freshness_missed",
            Self::NewReason => "new_reason",
            Self::ConfigChanged => "config_changed",
            Self::Test => "test",
        }
    }
}

/// What somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Tells it apart from others: a receiver that gets it twice knows by this.
    pub id: String,
    /// Of what.
    pub event: NoticeEvent,
    /// When it was found, by the catalog's clock.
    pub at: DateTime<Utc>,
    /// One line.
    pub title: String,
    /// What it means, and what to do.
    pub text: String,
    /// The run, if it is about one.
    pub run_id: Option<String>,
}

/// A notice that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueNotice {
    /// The notice.
    pub notice: Notice,
    /// How often it was tried before.
    pub attempts: u64,
}

impl Catalog {
    /// Finds what people have to be told of, and records it. The first call finds nothing: what was before is known. `is_local`
    /// says whether stores are seeded in one process, where nothing is retried by a command.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn find_notices(
        &self,
        events: &[NoticeEvent],
        promise: FreshnessPromise,
        is_local: bool,
    ) -> Result<(), CatalogError> {
        let mut tx = self.locked(Lock::Writer).await?;
        let now = tx.now().await?;
        let begun: i64 = sqlx::query_scalar("SELECT taken FROM locks WHERE name = 'notices'")
            .fetch_one(&mut *tx)
            .await?;
        if begun == 0 {
            sqlx::query("UPDATE locks SET taken = $1 WHERE name = 'notices'")
                .bind(millis(now))
                .execute(&mut *tx)
                .await?;
            return Ok(tx.commit().await?);
        }
        let since = begun.max(millis(now - LOOK_BACK));
        for event in events {
            let found = match event {
                NoticeEvent::RunFailed => failed_runs(&mut tx, since, now, is_local).await?,
                NoticeEvent::NewReason => new_reasons(&mut tx, since, now, is_local).await?,
                NoticeEvent::ConfigChanged => new_configs(&mut tx, since, now).await?,
                NoticeEvent::FreshnessMissed => missed_freshness(&mut tx, promise, now).await?,
                NoticeEvent::Test => Vec::new(),
            };
            for notice in &found {
                add(&mut tx, notice, now).await?;
            }
        }
        sqlx::query("DELETE FROM notices WHERE made_at < $1")
            .bind(millis(now - KEPT))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Returns whether a server has begun to look for what there is to tell.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn notices_are_looked_for(&self) -> Result<bool, CatalogError> {
        let begun: i64 = sqlx::query_scalar("SELECT taken FROM locks WHERE name = 'notices'")
            .fetch_one(&self.readers)
            .await?;
        Ok(begun > 0)
    }

    /// Returns the next notice that is due, for this process alone to send within `lease`.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub async fn take_notice(&self, lease: Duration) -> Result<Option<DueNotice>, CatalogError> {
        let mut tx = self.locked(Lock::Writer).await?;
        let now = tx.now().await?;
        let due = sqlx::query(
            "SELECT id, content, attempts FROM notices \
             WHERE sent_at IS NULL AND gave_up_at IS NULL AND next_at <= $1 ORDER BY made_at, id LIMIT 1",
        )
        .bind(millis(now))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = due else {
            return Ok(None);
        };
        let content: String = row.try_get("content")?;
        let notice: Notice =
            serde_json::from_str(&content).map_err(|_| damaged(content, "a notice"))?;
        let until = now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::minutes(1));
        sqlx::query("UPDATE notices SET next_at = $2, attempts = attempts + 1 WHERE id = $1")
            .bind(notice.id.clone())
            .bind(millis(until))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(DueNotice {
            notice,
            attempts: count(&row, "attempts")?,
        }))
    }

    /// Records that a notice has arrived.
    ///
    /// # Errors
    /// [`CatalogError::Database`]; then it is sent again.
    pub async fn notice_is_sent(&self, id: &str) -> Result<(), CatalogError> {
        sqlx::query(sql!(
            "UPDATE notices SET sent_at = {}, failure = NULL WHERE id = $1",
            self.dialect.now()
        ))
        .bind(id.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Records that a notice has not arrived, and why; it is tried again after `pause`, or never without one.
    ///
    /// # Errors
    /// [`CatalogError::Database`]; then it is tried again when its lease has run out.
    pub async fn notice_has_failed(
        &self,
        id: &str,
        failure: &str,
        pause: Option<Duration>,
    ) -> Result<(), CatalogError> {
        let now = self.now().await?;
        let next =
            pause.map(|pause| now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::hours(1)));
        sqlx::query("UPDATE notices SET failure = $2, next_at = $3, gave_up_at = $4 WHERE id = $1")
            .bind(id.to_owned())
            .bind(printable(failure))
            .bind(millis(next.unwrap_or(now)))
            .bind(next.is_none().then_some(millis(now)))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

async fn add(tx: &mut Tx, notice: &Notice, now: DateTime<Utc>) -> Result<(), CatalogError> {
    let content = serde_json::to_string(notice).map_err(|e| CatalogError::Unstorable {
        what: "notice",
        reason: e.to_string(),
    })?;
    sqlx::query(
        "INSERT INTO notices (id, event, content, made_at, next_at) VALUES ($1, $2, $3, $4, $4) \
         ON CONFLICT DO NOTHING",
    )
    .bind(notice.id.clone())
    .bind(notice.event.name())
    .bind(printable(&content))
    .bind(millis(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn failed_runs(
    tx: &mut Tx,
    since: i64,
    now: DateTime<Utc>,
    is_local: bool,
) -> Result<Vec<Notice>, CatalogError> {
    let rows = sqlx::query(sql!(
        "SELECT id, state, kind, \
             (SELECT COUNT(*) FROM jobs WHERE run_id = runs.id AND state = '{failed}') AS failed, \
             (SELECT COUNT(*) FROM jobs WHERE run_id = runs.id) AS stores \
         FROM runs WHERE state IN ('{run_failed}', '{abandoned}') AND finished_at > $1 \
             AND NOT EXISTS (SELECT 1 FROM notices WHERE notices.id = 'run_failed:' || runs.id) \
         ORDER BY finished_at LIMIT {MOST}",
        failed = JobState::Failed,
        run_failed = RunState::Failed,
        abandoned = RunState::Abandoned
    ))
    .bind(since)
    .fetch_all(&mut **tx)
    .await?;
    let notice = |row: &AnyRow| {
        let run_id: String = row.try_get("id")?;
        let state: RunState = parsed(row, "state", "the state of a run")?;
        let kind: String = row.try_get("kind")?;
        let (failed, stores) = (count(row, "failed")?, count(row, "stores")?);
        Ok(Notice {
            id: format!("run_failed:{run_id}"),
            event: NoticeEvent::RunFailed,
            at: now,
            title: format!("A run has {state}: {failed} of {stores} stores"),
            text: format!(
                "The run {run_id} ({kind}) has {state}. `seedbed status --failures` says why each store failed; {}.",
                starts_over(is_local, &run_id)
            ),
            run_id: Some(run_id),
        })
    };
    rows.iter().map(notice).collect()
}

async fn new_reasons(
    tx: &mut Tx,
    since: i64,
    now: DateTime<Utc>,
    is_local: bool,
) -> Result<Vec<Notice>, CatalogError> {
    let rows = sqlx::query(sql!(
        "SELECT failure_reason, MAX(run_id) AS run_id, COUNT(*) AS stores FROM jobs \
         WHERE state = '{failed}' AND failure_reason IS NOT NULL \
         GROUP BY failure_reason HAVING MIN(finished_at) > $1 ORDER BY failure_reason LIMIT {MOST}",
        failed = JobState::Failed
    ))
    .bind(since)
    .fetch_all(&mut **tx)
    .await?;
    let notice = |row: &AnyRow| {
        let reason: String = row.try_get("failure_reason")?;
        let run_id: String = row.try_get("run_id")?;
        let stores = count(row, "stores")?;
        Ok(Notice {
            id: format!("new_reason:{}", sha256_hex(&reason)),
            event: NoticeEvent::NewReason,
            at: now,
            title: format!("Stores fail for a new reason: {reason}"),
            text: format!(
                "{} failed so far, the last in the run {run_id}. `seedbed status --failures` shows them; {}.",
                if stores == 1 {
                    "1 store has".to_owned()
                } else {
                    format!("{stores} stores have")
                },
                starts_over(is_local, &format!("--reason {}", key_of(&reason)))
            ),
            run_id: Some(run_id),
        })
    };
    rows.iter().map(notice).collect()
}

/// What tries failed stores again.
fn starts_over(is_local: bool, which: &str) -> String {
    match is_local {
        true => "the next `seedbed local` tries them again, and at once *Retry all* on the page Failures of \
                 `seedbed local --serve`"
            .to_owned(),
        false => format!("`seedbed retry {which}` starts them over"),
    }
}

async fn new_configs(
    tx: &mut Tx,
    since: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Notice>, CatalogError> {
    let rows = sqlx::query(sql!(
        "SELECT generation FROM snapshots WHERE generation IS NOT NULL \
             AND EXISTS (SELECT 1 FROM snapshots earlier WHERE earlier.generation IS NOT NULL \
                 AND earlier.created_at <= $1) \
         GROUP BY generation HAVING MIN(created_at) > $1 ORDER BY generation LIMIT {MOST}"
    ))
    .bind(since)
    .fetch_all(&mut **tx)
    .await?;
    let notice = |row: &AnyRow| {
        let generation: String = row.try_get("generation")?;
        Ok(Notice {
            id: format!("config_changed:{generation}"),
            event: NoticeEvent::ConfigChanged,
            at: now,
            title: format!("The sync config has changed: {generation}"),
            text: "Devices and snapshots of the config before are downloaded in full. `seedbed status` shows how many \
                   stores have a snapshot of the new one."
                .to_owned(),
            run_id: None,
        })
    };
    rows.iter().map(notice).collect()
}

/// Whether the promise is missed since now: until it is kept again, that is told once.
async fn missed_freshness(
    tx: &mut Tx,
    promise: FreshnessPromise,
    now: DateTime<Utc>,
) -> Result<Vec<Notice>, CatalogError> {
    let count = count_fresh(tx, now, promise.age).await?;
    let is_missed = !count.keeps(promise);
    let changed =
        sqlx::query("UPDATE locks SET taken = $1 WHERE name = 'freshness_missed' AND taken <> $1")
            .bind(i64::from(is_missed))
            .execute(&mut **tx)
            .await?;
    if !is_missed || changed.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    let FreshCount { stores, fresh } = count;
    let late = stores - fresh;
    let age = humantime::format_duration(promise.age);
    Ok(vec![Notice {
        id: format!("freshness_missed:{}", millis(now)),
        event: NoticeEvent::FreshnessMissed,
        at: time(millis(now))?,
        title: format!("{late} of {stores} stores have no snapshot that is younger than {age}"),
        text: "Devices of these stores download more at their first launch, or everything. `seedbed status` says which runs \
               failed or are late."
            .to_owned(),
        run_id: None,
    }])
}

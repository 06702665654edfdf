//! Stores, runs, jobs and snapshots, in SQLite or Postgres: the same queries for both.
//!
//! The contract:
//! * A run's jobs are listed all together or not at all ([`Listing`]).
//! * Applying an event again, late, or in another order than it happened changes nothing that should stay
//!   ([`Catalog::apply`]).
//! * Each store has at most one job in flight and at most one live snapshot. The snapshot of an earlier job
//!   never replaces that of a later one.
//! * Any number of processes may use a catalog at once. Those that write more than one row wait for each other,
//!   so that no two of them can be in each other's way.
//! * Whatever is committed survives a crash of the process. What was not committed was not acknowledged
//!   to the broker either.

use std::{path::PathBuf, str::FromStr};

use chrono::{DateTime, Utc};
use seedbed_protocol::RunId;
use sqlx::{AnyPool, any::AnyRow};

mod database;
mod demand;
mod events;
mod freshness;
mod jobs {
    pub(super) mod pending;
    pub(super) mod retry;
}
mod listing;
mod runs;
mod schedule;
mod snapshots;
mod stores;

pub use database::open::{file_of, name_of};
use database::sql::{Tx, in_flight};
pub use demand::NewestAttempt;
pub use events::Applied;
pub use freshness::{Age, Freshness};
pub use jobs::{
    pending::{PendingJob, QueuedJob},
    retry::Retried,
};
pub use listing::{InFlight, ListOptions, Listed, Listing};
pub use runs::{FailedJob, RunReport, SnapshotRecord, Totals, WayCount};
pub use snapshots::retention::{JobObjects, Retention, SnapshotRef};
pub use stores::{
    JobCursor, JobFailure, JobFilter, JobRecord, StoreHistory, StoreRecord, StoreSearch,
};

/// How much of a damaged value is shown: all of a manifest would fill screens.
const SHOWN_CHARS: usize = 80;

/// Why the catalog did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is none yet.
    #[error(
        "there is no catalog at {} yet; the first `seedbed local` or `seedbed run` makes one",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be made or opened.
    #[error("cannot open the catalog {catalog} (catalog.url): {reason}")]
    Open {
        /// The file, or the URL without its password.
        catalog: String,
        /// What stands in the way.
        reason: String,
    },
    /// It could be opened, but not now.
    #[error("cannot open the catalog {catalog} (catalog.url) now: {reason}")]
    Unavailable {
        /// The file, or the URL without its password.
        catalog: String,
        /// What stands in the way: a full disk, another program, a server that is down.
        reason: String,
    },
    /// A newer program has changed its tables.
    #[error(
        "the catalog {catalog} was made by a newer version of Seedbed: update this program, or set \
         catalog.url to another one"
    )]
    Newer {
        /// The file, or the URL without its password.
        catalog: String,
    },
    /// There is no such run.
    #[error("there is no run {run_id}; `seedbed status` lists the last ones")]
    UnknownRun {
        /// What was asked for.
        run_id: RunId,
    },
    /// The run has no job left to change.
    #[error("the run {run_id} has already ended ({state})")]
    RunEnded {
        /// The run.
        run_id: RunId,
        /// How it ended.
        state: String,
    },
    /// A sweep over all stores found suspiciously few.
    #[error(
        "the list has {found} stores where there were {before} before, and nothing was started: if the rest is \
         really gone and its snapshots shall go too, run again with --allow-fewer-stores"
    )]
    FewerStores {
        /// Stores in the list.
        found: u64,
        /// Stores that the catalog knew.
        before: u64,
    },
    /// A store is twice in one list.
    #[error(
        "the store {store_id:?} is listed twice, at {first} and at {second}; nothing was started. \
         Remove one of them"
    )]
    DuplicateStore {
        /// The store.
        store_id: String,
        /// Where it was first, as a line or row number.
        first: i64,
        /// Where it was again.
        second: u64,
    },
    /// A store still has a job of an earlier run.
    #[error(
        "the store {store_id:?} still has a job in flight, of run {run_id}; wait for it to end"
    )]
    InFlight {
        /// The store.
        store_id: String,
        /// The earlier run.
        run_id: String,
    },
    /// A value in the catalog is not what this program writes.
    #[error("the catalog holds {value:?} where {expected} should be; was it edited by hand?")]
    Damaged {
        /// The beginning of what is there.
        value: String,
        /// What should be.
        expected: String,
    },
    /// A value is too large for the catalog.
    #[error("cannot store the {what}: {reason}")]
    Unstorable {
        /// What should have been stored.
        what: &'static str,
        /// Why it cannot be.
        reason: String,
    },
    /// The database refused.
    #[error("the catalog failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The catalog of one installation.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: AnyPool,
    /// For queries that only read, and need not wait for those that write.
    readers: AnyPool,
    is_sqlite: bool,
}

impl Catalog {
    /// Whether the database answers.
    ///
    /// # Errors
    /// [`CatalogError::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), CatalogError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }

    /// Its `db.system.name` in spans.
    pub(crate) fn db_system(&self) -> &'static str {
        if self.is_sqlite {
            "sqlite"
        } else {
            "postgresql"
        }
    }
}

impl CatalogError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Database(error) => database::open::passes(error),
            _ => false,
        }
    }
}

impl Catalog {
    /// Closes the catalog; what was committed is safe.
    pub async fn close(&self) {
        self.readers.close().await;
        self.pool.close().await;
    }
}

fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

fn time(millis: i64) -> Result<DateTime<Utc>, CatalogError> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| damaged(millis, "a time"))
}

/// Text as both databases store it: Postgres refuses the character NUL.
fn printable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn damaged(value: impl ToString, expected: impl Into<String>) -> CatalogError {
    let mut value = value.to_string();
    if let Some((end, _)) = value.char_indices().nth(SHOWN_CHARS) {
        value.truncate(end);
        value.push('…');
    }
    CatalogError::Damaged {
        value,
        expected: expected.into(),
    }
}

/// Reads a text column as a `T`.
fn parsed<T: FromStr>(
    row: &AnyRow,
    column: &str,
    expected: &'static str,
) -> Result<T, CatalogError> {
    let text: String = sqlx::Row::try_get(row, column)?;
    text.parse().map_err(|_| damaged(text, expected))
}

#[cfg(test)]
mod tests;

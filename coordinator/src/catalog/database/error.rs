//! Errors of the catalog, and which of them a retry may solve.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use seedbed_protocol::RunId;

use super::room::hint;
use crate::{catalog::state::RunState, outage::passes};

/// Characters of a damaged value that are shown: a whole manifest would fill screens.
const SHOWN_CHARS: usize = 80;

/// Why the catalog did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is no catalog yet.
    #[error(
        "there is no catalog at {} yet; the first `seedbed local` or `seedbed run` makes one",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The catalog cannot be made or opened.
    #[error("cannot open the catalog {catalog} (catalog.url): {reason}")]
    Open {
        /// The file, or the URL without its password.
        catalog: String,
        /// Why.
        reason: String,
    },
    /// The catalog cannot be opened now. A retry may succeed.
    #[error("cannot open the catalog {catalog} (catalog.url) now: {reason}")]
    Unavailable {
        /// The file, or the URL without its password.
        catalog: String,
        /// Why: a full disk, another program, a server that is down.
        reason: String,
    },
    /// A newer version of this program has migrated the tables.
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
        /// The id that was asked for.
        run_id: RunId,
    },
    /// No run, or more than one, has an id that begins so.
    #[error("{} run has an id that begins with {text:?}; `seedbed status` lists the last ones", if *several { "more than one" } else { "no" })]
    RunPrefix {
        /// What was asked for.
        text: String,
        /// Whether there is more than one.
        several: bool,
    },
    /// No store failed for that reason.
    #[error(
        "no store failed for a reason {key:?}; `seedbed status --failures` lists the reasons that there are"
    )]
    UnknownReason {
        /// The key that was asked for.
        key: String,
    },
    /// Stores cannot be quarantined, as the settings are.
    #[error("nothing is quarantined while sync.quarantine_after is 0: set it to 1 or more")]
    NoQuarantine,
    /// There is no such store.
    #[error("no list of stores had {store_id:?} yet; the catalog has {others}")]
    UnknownStore {
        /// The id that was asked for.
        store_id: String,
        /// Some that there are.
        others: String,
    },
    /// The store was forgotten on demand.
    #[error(
        "the store {store_id:?} is forgotten, and nothing was started: `seedbed allow` lets it be seeded again"
    )]
    Forgotten {
        /// The store.
        store_id: String,
    },
    /// The run has ended: it has no job left to change.
    #[error("the run {run_id} has already ended ({state})")]
    RunEnded {
        /// The run.
        run_id: RunId,
        /// How it ended.
        state: RunState,
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
    /// A store is listed twice.
    #[error(
        "the store {store_id:?} is listed twice, at {first} and at {second}; nothing was started. \
         Remove one of them"
    )]
    DuplicateStore {
        /// The store.
        store_id: String,
        /// Its first line or row.
        first: i64,
        /// Its second line or row.
        second: u64,
    },
    /// A store still has a job of an earlier run in flight.
    #[error(
        "the store {store_id:?} still has a job in flight, of run {run_id}; wait for it to end"
    )]
    InFlight {
        /// The store.
        store_id: String,
        /// The earlier run.
        run_id: String,
    },
    /// Another coordinator starts the scheduled run.
    #[error(
        "the run of {due} is started by another coordinator, since this one was out of reach for too long; \
         nothing was listed here"
    )]
    ClaimLost {
        /// The scheduled time.
        due: DateTime<Utc>,
    },
    /// A token of the API cannot have that name.
    #[error(
        "the token cannot be called {name:?}: a name has 1 to 64 characters that can be seen, and no space around them"
    )]
    TokenName {
        /// The name.
        name: String,
    },
    /// Another token of the API, which is still good, has that name.
    #[error("there is a token {name:?} already; revoke it first, or take another name")]
    TokenExists {
        /// The name.
        name: String,
    },
    /// There is no such token of the API.
    #[error("there is no token {which:?} that is not revoked; `seedbed tokens list` has all")]
    UnknownToken {
        /// The id or the name that was asked for.
        which: String,
    },
    /// A value in the catalog is not one that this program writes.
    #[error("the catalog holds {value:?} where {expected} should be; was it edited by hand?")]
    Damaged {
        /// The beginning of the value.
        value: String,
        /// What should be there.
        expected: String,
    },
    /// A value is too large for the catalog.
    #[error("cannot store the {what}: {reason}")]
    Unstorable {
        /// What was to be stored.
        what: &'static str,
        /// Why it cannot be.
        reason: String,
    },
    /// The database refused a query.
    #[error("the catalog failed: {0}{hint}", hint = hint(.0))]
    Database(#[from] sqlx::Error),
}

impl CatalogError {
    /// Returns whether a person has to change the list of stores, the settings or the command before it can succeed.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Newer { .. }
                | Self::DuplicateStore { .. }
                | Self::FewerStores { .. }
                | Self::UnknownRun { .. }
                | Self::RunPrefix { .. }
                | Self::UnknownReason { .. }
                | Self::NoQuarantine
                | Self::UnknownStore { .. }
                | Self::Forgotten { .. }
                | Self::RunEnded { .. }
                | Self::TokenName { .. }
                | Self::TokenExists { .. }
                | Self::UnknownToken { .. }
                | Self::Unstorable { .. }
        )
    }

    /// Returns whether a retry may succeed without a change to the settings.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Unavailable { .. } | Self::InFlight { .. } => true,
            Self::Database(error) => passes(error),
            _ => false,
        }
    }
}

pub(in crate::catalog) fn damaged(
    value: impl ToString,
    expected: impl Into<String>,
) -> CatalogError {
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

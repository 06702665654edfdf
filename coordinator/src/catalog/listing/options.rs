//! How a run is listed, and the result of a listing.

use std::{collections::BTreeSet, time::Duration};

use seedbed_protocol::RunId;
use serde::Serialize;

use crate::catalog::{quarantine::Quarantine, runs::RunKind};

/// What happens to a listed store that has a job in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// It gets no second job.
    Skip,
    /// The listing fails: no other process should be working on this catalog.
    Refuse,
}

/// Which stores a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// All that there are: a store that is not in the list is retired.
    All,
    /// Some of them: no store is retired.
    Some,
}

impl Covers {
    /// Returns [`Covers::All`] if the list is `complete`.
    pub fn all_if(complete: bool) -> Self {
        if complete { Self::All } else { Self::Some }
    }
}

/// Which rows the jobs of a run download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Download {
    /// Those that have changed since the snapshot that a job starts from, where there is one.
    Changed,
    /// Every row of every store.
    Everything,
}

impl Download {
    /// Returns [`Download::Everything`] if a `full` download was asked for.
    pub fn everything_if(full: bool) -> Self {
        if full {
            Self::Everything
        } else {
            Self::Changed
        }
    }
}

/// How a run is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// What starts the run.
    pub kind: RunKind,
    /// What happens to stores with a job in flight.
    pub in_flight: InFlight,
    /// Stores whose live snapshot is younger than this get no job.
    pub only_older_than: Option<Duration>,
    /// Which stores the list has. Decides whether stores are retired.
    pub covers: Covers,
    /// Whether a list of all stores may have far fewer than there were.
    pub allow_fewer: bool,
    /// Which rows the jobs download. Decides nothing about the list.
    pub download: Download,
    /// Whether the list may leave out stores that have not changed since the last list of all stores.
    pub skip_unchanged: bool,
    /// Which stores are quarantined and get no job. `None` for stores that were chosen one by one: those are seeded, and
    /// what fails then does not count towards a quarantine.
    pub quarantine: Option<Quarantine>,
}

impl Sweep {
    /// Returns a sweep over all stores; the list may leave out those that have not changed.
    pub fn all(kind: RunKind) -> Self {
        Self {
            kind,
            in_flight: InFlight::Skip,
            only_older_than: None,
            covers: Covers::All,
            allow_fewer: false,
            download: Download::Changed,
            skip_unchanged: true,
            quarantine: None,
        }
    }

    /// Returns a sweep over some stores, changed or not.
    pub fn some(kind: RunKind) -> Self {
        Self {
            covers: Covers::Some,
            skip_unchanged: false,
            ..Self::all(kind)
        }
    }

    /// Returns the same sweep, as `--full` (every row of every store) and `--all` (every store, changed or not) ask.
    #[must_use]
    pub fn asking_for(self, full: bool, all: bool) -> Self {
        Self {
            download: Download::everything_if(full),
            skip_unchanged: self.skip_unchanged && !(full || all),
            ..self
        }
    }
}

/// The result of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Listed {
    /// The run; `None` when no store needed a job.
    pub run_id: Option<RunId>,
    /// Its jobs.
    pub jobs: u64,
    /// Stores that were skipped because they have a job in flight.
    pub in_flight: u64,
    /// The runs of those jobs.
    pub in_flight_runs: BTreeSet<RunId>,
    /// Stores that were skipped because their snapshot is young enough.
    pub fresh: u64,
    /// Stores that were retired: they are no longer in the list of all stores.
    pub retired: u64,
    /// Stores that got a job although the list left them out, because their last one did not succeed.
    pub added: u64,
    /// Stores that were skipped because they are quarantined, and not to be probed yet.
    pub quarantined: u64,
    /// Stores that were left out because they are forgotten.
    pub forgotten: u64,
    /// Whether no store of the list can do without a job: all of them are quarantined.
    pub nothing_but_quarantined: bool,
}

impl Listed {
    /// Returns the runs that have to end before every listed store is seeded, the new one first.
    pub fn runs(&self) -> Vec<RunId> {
        let others = self.in_flight_runs.iter().copied();
        self.run_id.into_iter().chain(others).collect()
    }
}

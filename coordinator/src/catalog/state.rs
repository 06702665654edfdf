//! The states of runs, jobs and snapshots. Each list of states is here once, for Rust, SQL, JSON and the API.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use seedbed_protocol::message::FailureKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// No state has this name.
#[derive(Debug)]
pub struct UnknownState;

/// Defines an enum of states with the name of each in the database, in JSON and in messages.
macro_rules! states {
    ($(#[$doc:meta])* $enum:ident { $($(#[$state_doc:meta])* $state:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $enum {
            $($(#[$state_doc])* $state,)+
        }

        impl $enum {
            /// Every state.
            pub const ALL: &'static [Self] = &[$(Self::$state,)+];

            /// Returns its name in the database, in JSON and in messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$state => $name,)+
                }
            }
        }

        impl Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $enum {
            type Err = UnknownState;

            fn from_str(name: &str) -> Result<Self, UnknownState> {
                let state = Self::ALL.iter().find(|state| state.name() == name);
                state.copied().ok_or(UnknownState)
            }
        }
    };
}

states! {
    /// The state of a run.
    RunState {
        /// Jobs of it are in flight.
        Running = "running",
        /// Every job succeeded.
        Completed = "completed",
        /// A job failed.
        Failed = "failed",
        /// It was cancelled. Jobs that had started may still be in flight: until then it has no end.
        Cancelled = "cancelled",
        /// A job was abandoned without a result.
        Abandoned = "abandoned",
    }
}

states! {
    /// The state of a job.
    JobState {
        /// It is recorded, but not published yet.
        Listed = "listed",
        /// It waits for a worker, for the first time or for a retry.
        Queued = "queued",
        /// A worker has started it.
        Running = "running",
        /// It has a snapshot.
        Completed = "completed",
        /// The live snapshot was still current.
        Unchanged = "unchanged",
        /// It failed for good.
        Failed = "failed",
        /// It was dropped before a worker started it.
        Cancelled = "cancelled",
        /// It was abandoned without a result; later events about it are ignored.
        Abandoned = "abandoned",
        /// It had failed, and another job of the same run took its place.
        Retried = "retried",
    }
}

states! {
    /// The state of a snapshot.
    SnapshotState {
        /// Clients get it.
        Live = "live",
        /// A newer one took its place.
        Superseded = "superseded",
        /// It is being deleted: some of its objects may be gone.
        Deleting = "deleting",
        /// Its objects are gone.
        Deleted = "deleted",
    }
}

/// Several states: a list in SQL, as in `state IN ({IN_FLIGHT})`, and a question in Rust.
pub(super) struct OneOf<S: 'static>(&'static [S]);

/// Jobs that have not ended. A store has at most one: the unique index `jobs_in_flight` has the same list.
pub(super) const IN_FLIGHT: OneOf<JobState> =
    OneOf(&[JobState::Listed, JobState::Queued, JobState::Running]);

/// Jobs that the broker or a worker has. The index `jobs_by_deadline` has the same list.
pub(super) const PUBLISHED: OneOf<JobState> = OneOf(&[JobState::Queued, JobState::Running]);

/// Jobs that no worker has started, unless an earlier attempt of theirs failed.
pub(super) const WAITING: OneOf<JobState> = OneOf(&[JobState::Listed, JobState::Queued]);

/// Jobs after which the store has a right snapshot.
pub(super) const SUCCEEDED: OneOf<JobState> = OneOf(&[JobState::Completed, JobState::Unchanged]);

/// Jobs after which the store may have no right snapshot.
pub(super) const UNSUCCESSFUL: OneOf<JobState> =
    OneOf(&[JobState::Failed, JobState::Cancelled, JobState::Abandoned]);

/// Jobs that ended without a snapshot, and become completed if one arrives late.
pub(super) const LATE_SNAPSHOT_COUNTS: OneOf<JobState> =
    OneOf(&[JobState::Failed, JobState::Cancelled]);

/// Jobs that ended and will not be retried. A failed job may be.
pub(super) const NOT_RETRIED: OneOf<JobState> = OneOf(&[
    JobState::Retried,
    JobState::Completed,
    JobState::Unchanged,
    JobState::Cancelled,
    JobState::Abandoned,
]);

/// Runs that end with their last job.
pub(super) const UNFINISHED: OneOf<RunState> = OneOf(&[RunState::Running, RunState::Cancelled]);

/// Snapshots whose objects should all be there.
pub(super) const PRESENT: OneOf<SnapshotState> =
    OneOf(&[SnapshotState::Live, SnapshotState::Superseded]);

impl<S: PartialEq> OneOf<S> {
    pub(super) fn has(&self, state: S) -> bool {
        self.0.contains(&state)
    }
}

impl<S: Display> Display for OneOf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, state) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}'{state}'")?;
        }
        Ok(())
    }
}

/// The condition on a failed job, a row of `jobs`, that nobody needs a retry of it: its store has a later job or is
/// retired.
pub(super) const fn needless_retry() -> &'static str {
    "EXISTS ( \
         SELECT 1 FROM jobs later \
         WHERE later.store_id = jobs.store_id AND later.id > jobs.id) \
     OR EXISTS ( \
         SELECT 1 FROM stores \
         WHERE stores.store_id = jobs.store_id AND stores.retired_at IS NOT NULL)"
}

/// The opposite of [`needless_retry`], in the form that databases make a single join of.
pub(super) const fn needed_retry() -> &'static str {
    "NOT EXISTS ( \
         SELECT 1 FROM jobs later \
         WHERE later.store_id = jobs.store_id AND later.id > jobs.id) \
     AND NOT EXISTS ( \
         SELECT 1 FROM stores \
         WHERE stores.store_id = jobs.store_id AND stores.retired_at IS NOT NULL)"
}

/// The name of a kind of failure in the catalog.
pub(super) const fn failure_kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Transient => "transient",
        FailureKind::Permanent => "permanent",
    }
}

impl JobState {
    /// Returns whether it has not ended yet.
    pub fn is_in_flight(self) -> bool {
        IN_FLIGHT.has(self)
    }

    /// Returns whether the store has a right snapshot because of it.
    pub fn succeeded(self) -> bool {
        SUCCEEDED.has(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query uses a partial index only if its condition reads as the index's does.
    #[test]
    fn the_indexes_have_the_same_lists() {
        let tables = concat!(
            include_str!("../../migrations/0001_runs_jobs_snapshots.sql"),
            include_str!("../../migrations/0080_turns_and_rows.sql"),
            include_str!("../../migrations/0120_reasons.sql")
        );
        for (index, condition) in [
            ("jobs_in_flight", format!("state IN ({IN_FLIGHT})")),
            ("jobs_by_deadline", format!("state IN ({PUBLISHED})")),
            ("jobs_listed", format!("state = '{}'", JobState::Listed)),
            ("jobs_failed", format!("state = '{}'", JobState::Failed)),
            (
                "jobs_failed_by_reason",
                format!("state = '{}'", JobState::Failed),
            ),
            ("jobs_of_run", format!("state <> '{}'", JobState::Retried)),
            (
                "snapshots_live",
                format!("state = '{}'", SnapshotState::Live),
            ),
        ] {
            let made = tables
                .lines()
                .find(|line| line.contains(&format!("INDEX {index} ")));
            assert!(
                made.unwrap().ends_with(&format!(" WHERE {condition};")),
                "{index}"
            );
        }
    }

    #[test]
    fn a_state_has_one_name_everywhere() {
        fn check<S>(states: &[S])
        where
            S: Display + FromStr<Err = UnknownState> + Serialize + PartialEq + fmt::Debug,
        {
            for state in states {
                let json = serde_json::to_value(state).unwrap();
                assert_eq!(json, state.to_string());
                assert_eq!(state.to_string().parse::<S>().unwrap(), *state);
            }
        }
        check(RunState::ALL);
        check(JobState::ALL);
        check(SnapshotState::ALL);
        assert!("listening".parse::<JobState>().is_err());
    }
}

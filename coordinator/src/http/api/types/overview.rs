//! An overview at one moment, as the API answers it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::run::Run;
use crate::{catalog::Freshness, runs::Parked};

/// An overview at one moment: runs, how fresh the stores are, queues.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Overview {
    /// The time of this overview.
    pub(in crate::http::api) now: DateTime<Utc>,
    /// The server's version.
    pub(in crate::http::api) version: &'static str,
    /// Stores in the source.
    pub(in crate::http::api) stores: u64,
    pub(in crate::http::api) freshness: Ages,
    /// Stores that sweeps skip, since they kept failing alone.
    pub(in crate::http::api) quarantined: u64,
    /// Parked messages; null if the broker does not answer.
    pub(in crate::http::api) parked: Option<Messages>,
    /// Waiting messages; null if the broker does not answer.
    pub(in crate::http::api) waiting: Option<Messages>,
    /// The newest run that has not ended; null if every run has.
    pub(in crate::http::api) current_run: Option<Run>,
    /// The newest runs.
    pub(in crate::http::api) runs: Vec<Run>,
    /// URL of a trace's page; replace {trace_id}. Null if none is configured.
    pub(in crate::http::api) trace_url: Option<String>,
    /// When the schedule starts the next run.
    pub(in crate::http::api) scheduled: Option<DateTime<Utc>>,
}

impl Overview {
    /// Returns whether nothing has changed but the time.
    pub(in crate::http::api) fn is_like(&self, other: &Self) -> bool {
        let now = self.now;
        Self {
            now,
            ..other.clone()
        } == *self
    }
}

/// How many stores have a snapshot of which age.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Ages {
    /// Younger than an hour.
    hour: u64,
    /// Younger than six hours.
    six_hours: u64,
    /// Younger than a day.
    day: u64,
    older: u64,
    never: u64,
}

impl From<Freshness> for Ages {
    fn from(freshness: Freshness) -> Self {
        Self {
            hour: freshness.hour,
            six_hours: freshness.six_hours,
            day: freshness.day,
            older: freshness.older,
            never: freshness.never,
        }
    }
}

/// Messages on the broker.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(in crate::http::api) struct Messages {
    pub(in crate::http::api) jobs: u64,
    pub(in crate::http::api) events: u64,
}

impl From<Parked> for Messages {
    fn from(Parked { jobs, events }: Parked) -> Self {
        Self { jobs, events }
    }
}

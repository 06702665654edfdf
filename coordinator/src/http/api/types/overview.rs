//! An overview at one moment, as the API answers it.

use chrono::{DateTime, Utc};
use seedbed_protocol::broker::Trouble;
use serde::Serialize;
use utoipa::ToSchema;

use super::run::Run;
use crate::{
    catalog::{Freshness, ServiceWait, WorkerRecord},
    runs::Parked,
};

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
    /// What keeps jobs from being published; null if nothing does.
    pub(in crate::http::api) broker: Option<BrokerTrouble>,
    /// What is parked; null if the broker does not answer.
    pub(in crate::http::api) parked: Option<ParkedMessages>,
    /// Waiting messages; null if the broker does not answer.
    pub(in crate::http::api) waiting: Option<Messages>,
    /// Jobs that wait while no worker takes any; null if the broker does not answer.
    pub(in crate::http::api) untaken: Option<u64>,
    /// The workers that say that they are there.
    pub(in crate::http::api) workers: Workforce,
    /// The newest run that has not ended; null if every run has.
    pub(in crate::http::api) current_run: Option<Run>,
    /// The newest runs.
    pub(in crate::http::api) runs: Vec<Run>,
    /// Stores that wait since the service has as many streams open as it allows (429).
    pub(in crate::http::api) service_wait: ServiceWait,
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

/// What keeps the broker from taking messages. It passes, and everything continues by itself then.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(in crate::http::api) struct BrokerTrouble {
    /// away: there is no connection. refused: the broker refuses what is needed. blocked: it is short of memory or
    /// disk.
    trouble: &'static str,
    /// For people.
    message: String,
}

impl From<Trouble> for BrokerTrouble {
    fn from(trouble: Trouble) -> Self {
        Self {
            trouble: trouble.name(),
            message: trouble.to_string(),
        }
    }
}

/// Messages on the broker.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(in crate::http::api) struct Messages {
    pub(in crate::http::api) jobs: u64,
    pub(in crate::http::api) events: u64,
}

/// What is parked.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct ParkedMessages {
    /// Jobs that failed for good, which a retry starts over.
    jobs: u64,
    /// Messages in seed.jobs.dead; what stays there cannot be read.
    messages: u64,
    /// Events that cannot be read or applied.
    events: u64,
}

impl From<Parked> for ParkedMessages {
    fn from(parked: Parked) -> Self {
        let Parked {
            jobs,
            messages,
            events,
        } = parked;
        Self {
            jobs,
            messages,
            events,
        }
    }
}

/// How many workers there are, and for how many jobs at a time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Workforce {
    count: usize,
    slots: u64,
}

impl From<&[WorkerRecord]> for Workforce {
    fn from(workers: &[WorkerRecord]) -> Self {
        Self {
            count: workers.len(),
            slots: workers.iter().map(|worker| worker.slots).sum(),
        }
    }
}

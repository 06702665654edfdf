//! Results of requests that start, retry or cancel, as the API answers them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::{Listed, Retried},
    runs::Cancelled,
};

/// The result of starting a run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Started {
    /// The new run; null if no store needed a job.
    run_id: Option<String>,
    jobs: u64,
    /// Stores that are being seeded already.
    in_flight: u64,
    /// Stores whose snapshot is young enough.
    fresh: u64,
    /// Stores that are no longer in the source.
    retired: u64,
    /// Stores that are quarantined, and not to be probed yet.
    quarantined: u64,
}

impl From<Listed> for Started {
    fn from(listed: Listed) -> Self {
        Self {
            run_id: listed.run_id.map(|run_id| run_id.to_string()),
            jobs: listed.jobs,
            in_flight: listed.in_flight,
            fresh: listed.fresh,
            retired: listed.retired,
            quarantined: listed.quarantined,
        }
    }
}

/// The result of a retry.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::api) struct StartedOver {
    /// The new runs of these jobs.
    runs: Vec<String>,
    /// Jobs that are started again.
    jobs: u64,
    /// Failed jobs that stay as they are, because their store has a later job or is gone.
    skipped: u64,
}

impl From<Retried> for StartedOver {
    fn from(retried: Retried) -> Self {
        Self {
            runs: retried.runs.iter().map(ToString::to_string).collect(),
            jobs: retried.jobs,
            skipped: retried.skipped,
        }
    }
}

/// The result of a cancellation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Dropped {
    /// Jobs that this request cancelled.
    cancelled: u64,
    /// Jobs that have started, and continue.
    going_on: u64,
    /// Why messages of cancelled jobs are still on the broker, from where they are removed later; null if they are not.
    messages_left: Option<String>,
}

impl From<Cancelled> for Dropped {
    fn from(cancelled: Cancelled) -> Self {
        Self {
            cancelled: cancelled.cancelled,
            going_on: cancelled.going_on,
            messages_left: cancelled.messages_left,
        }
    }
}

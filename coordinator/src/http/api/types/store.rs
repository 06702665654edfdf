//! Stores with their history, as the API answers them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{run::Job, snapshot::Snapshot};
use crate::catalog::{HeldBy, Quarantine, StoreRecord};

/// A store as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct Store {
    store_id: String,
    /// Whether it is no longer in the source.
    retired: bool,
    /// When PowerSync last had exactly what is in its live snapshot, as far as is known.
    snapshot_at: Option<DateTime<Utc>>,
    rows: Option<u64>,
    bytes: Option<u64>,
    /// Its newest job.
    job: Option<Job>,
    /// Why sweeps skip it; null if they do not.
    quarantine: Option<StoreQuarantine>,
}

/// Why sweeps skip a store, and until when.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http::api) struct StoreQuarantine {
    /// What fails, without what differs from store to store.
    reason: String,
    /// Sweeps in a row that it failed.
    sweeps: u64,
    /// When the first of them failed it.
    since: DateTime<Utc>,
    /// From when on a sweep probes it.
    probe_at: DateTime<Utc>,
    /// The person who has quarantined it; null if it failed in so many sweeps.
    held: Option<HeldBy>,
}

impl Store {
    pub(in crate::http::api) fn new(store: StoreRecord, quarantine: Quarantine) -> Self {
        let quarantined = store.failing.and_then(|failing| {
            Some(StoreQuarantine {
                probe_at: quarantine.probe_at(&failing)?,
                reason: failing.reason,
                sweeps: failing.sweeps,
                since: failing.since,
                held: failing.held,
            })
        });
        Self {
            quarantine: quarantined,
            store_id: store.store_id.to_string(),
            retired: store.retired,
            snapshot_at: store.snapshot_at,
            rows: store.rows,
            bytes: store.bytes,
            job: store.job.map(Job::from),
        }
    }
}

/// A page of stores.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::api) struct Stores {
    pub(in crate::http::api) stores: Vec<Store>,
    /// Goes into `after` for the next page.
    pub(in crate::http::api) next: Option<String>,
    /// Stores on all pages.
    pub(in crate::http::api) total: u64,
}

/// A store with its history, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::api) struct StoreDetail {
    #[serde(flatten)]
    pub(in crate::http::api) store: Store,
    pub(in crate::http::api) snapshots: Vec<Snapshot>,
    pub(in crate::http::api) jobs: Vec<Job>,
}

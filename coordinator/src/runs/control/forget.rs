//! Forgets a store: its rows, its messages, its objects.
//!
//! The catalog changes first: from then on no list has the store, no client is given anything of it, and what its jobs in flight
//! report is ignored. Killed after that, servers and `gc` remove the rest, and so does the same call again.

use std::time::Duration;

use seedbed_protocol::{
    StoreId,
    broker::{Broker, Queue},
    snapshots::SnapshotRepository,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::{Catalog, ForgottenRows, ForgottenStore},
    runs::{
        error::RunError,
        queues::{if_broker_answers, remove_of_store},
    },
    upkeep::remove_objects,
};

/// Where messages of a store may be.
const QUEUES: [Queue; 4] = [
    Queue::Jobs,
    Queue::Events,
    Queue::ParkedJobs,
    Queue::ParkedEvents,
];

/// What no program of Seedbed can remove.
const OUT_OF_REACH: [&str; 6] = [
    "devices: databases that were installed from a snapshot, and downloads that have begun",
    "caches on the way to devices, such as a CDN: purge the keys of the store there",
    "old versions and replicas of objects, if the bucket keeps them",
    "backups: of the catalog, of the object storage, of RabbitMQ",
    "traces and logs of jobs and requests, which name the store, until their own retention ends",
    "the audit log, which says that the store was forgotten, and by whom",
];

/// What was removed of a store, and what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreForgotten {
    /// Rows of the catalog.
    #[serde(flatten)]
    pub rows: ForgottenRows,
    /// Objects: every form and encoding, manifests, copies below `latest/`.
    pub objects: u64,
    /// Messages that waited.
    pub messages: u64,
    /// Why messages or objects are still there. Servers remove them later, and so does the same call again.
    pub left: Option<String>,
    /// What has to be removed elsewhere.
    pub out_of_reach: Vec<&'static str>,
}

/// Forgets a store. What its jobs in flight upload within `watch` is removed by servers and `gc`.
///
/// # Errors
/// [`RunError::Catalog`]; then nothing was removed.
pub async fn forget(
    catalog: &Catalog,
    broker: &dyn Broker,
    snapshots: &SnapshotRepository,
    store_id: &StoreId,
    watch: Duration,
) -> Result<StoreForgotten, RunError> {
    let rows = catalog.forget_store(store_id, watch).await?;
    catalog.finish_runs().await?;
    let mut messages = 0;
    let removing = async {
        for queue in QUEUES {
            messages += remove_of_store(broker, queue, store_id).await?;
        }
        Ok(())
    };
    let of_broker = if_broker_answers(broker, removing).await?;
    let store = ForgottenStore {
        store_id: store_id.clone(),
        last_job: None,
        is_allowed: false,
    };
    let removed = remove_objects(catalog, snapshots, &store).await;
    let (objects, of_storage) = match removed {
        Ok(removed) => (removed.objects, None),
        Err(error) => (0, Some(error.to_string())),
    };
    let left: Vec<String> = of_broker.into_iter().chain(of_storage).collect();
    Ok(StoreForgotten {
        rows,
        objects,
        messages,
        left: (!left.is_empty()).then(|| left.join("; ")),
        out_of_reach: OUT_OF_REACH.to_vec(),
    })
}

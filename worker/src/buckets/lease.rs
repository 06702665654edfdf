//! A lease: one worker fills an entry, and the others wait for it. It ends with its holder, which renews it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{objects::StorageError, snapshots::SnapshotRepository};
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use tracing::debug;

#[derive(Serialize, Deserialize)]
struct Held {
    until: DateTime<Utc>,
}

/// A lease that this worker holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    objects: SnapshotRepository,
    key: String,
    renewing: AbortHandle,
}

/// Whose lease it is.
pub(super) enum Leased {
    Mine(Box<Lease>),
    Other,
    /// There is what it would be for.
    Done,
}

impl Lease {
    /// Takes the lease `key` for `time`, and renews it; `None` while another worker holds it. A directory, and a service
    /// without conditional writes, may give it to two workers at once; then both fill the entry, and the last one counts.
    ///
    /// # Errors
    /// [`StorageError`]
    pub(super) async fn take(
        objects: &SnapshotRepository,
        key: String,
        time: Duration,
    ) -> Result<Option<Self>, StorageError> {
        if !write(objects, &key, time, false).await? {
            return Ok(None);
        }
        let (storage, renewed) = (objects.clone(), key.clone());
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(time / 3).await;
                if let Err(error) = write(&storage, &renewed, time, true).await {
                    debug!("cannot renew {renewed:?}: {error}");
                }
            }
        });
        Ok(Some(Self {
            objects: objects.clone(),
            key,
            renewing: renewing.abort_handle(),
        }))
    }

    /// Returns whether any worker holds the lease `key`.
    ///
    /// # Errors
    /// [`StorageError`]
    pub(super) async fn is_held(
        objects: &SnapshotRepository,
        key: &str,
    ) -> Result<bool, StorageError> {
        let read = objects.read_version(key).await?;
        Ok(read.is_some_and(|(held, _)| is_live(&held)))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        let (objects, key) = (self.objects.clone(), self.key.clone());
        // Without a runtime, the process ends, and so does the lease.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let removed = objects.delete(futures::stream::iter([key])).await;
                if let Err(error) = removed {
                    debug!("cannot give back a lease: {error}");
                }
            });
        }
    }
}

async fn write(
    objects: &SnapshotRepository,
    key: &str,
    time: Duration,
    is_mine: bool,
) -> Result<bool, StorageError> {
    let found = objects.read_version(key).await?;
    if !is_mine && found.as_ref().is_some_and(|(held, _)| is_live(held)) {
        return Ok(false);
    }
    let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
    let held = Held {
        until: Utc::now() + time,
    };
    let content = serde_json::to_vec(&held).expect("a time is JSON");
    let version = found.map(|(_, version)| version);
    objects
        .replace(key, "application/json", content.into(), version)
        .await
}

fn is_live(held: &[u8]) -> bool {
    serde_json::from_slice::<Held>(held).is_ok_and(|held| held.until > Utc::now())
}

//! Garbage collection: removes snapshots that are no longer needed, and repairs what catalog and object storage disagree
//! about.
//!
//! Three passes, each of which can be killed at any point; the next call continues:
//! * lost: snapshots in the catalog whose objects are gone are marked;
//! * expired: snapshots that are superseded, or whose store is gone, for longer than `[retention]` says are removed;
//! * orphans: objects that no snapshot refers to, left by a killed worker or by a second upload of one attempt, are removed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use seedbed_protocol::{
    JobId, StoreId,
    snapshots::{SnapshotObject, SnapshotPart, SnapshotRepository, latest_key},
};
use serde::Serialize;
use tracing::warn;

use super::{cleanup::remove_forgotten, error::GcError};
use crate::{
    catalog::{Catalog, Retention, SnapshotRef},
    settings::RetentionConfig,
};

/// Snapshots or objects that are looked up or deleted together.
const GC_PAGE: usize = 256;

/// Counts of what was removed, or with `dry_run` would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// Snapshots that were kept long enough.
    pub expired: u64,
    /// Objects that no snapshot refers to.
    pub orphans: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Snapshots whose objects were gone already.
    pub lost: u64,
    /// Objects of jobs that the catalog does not know, which stay.
    pub unknown: u64,
}

/// Collects the garbage of one catalog and its object storage.
pub struct Collector<'a> {
    catalog: &'a Catalog,
    snapshots: &'a SnapshotRepository,
    config: &'a RetentionConfig,
    dry_run: bool,
    collected: Collected,
}

impl<'a> Collector<'a> {
    /// Returns a collector with the policy of `config`; with `dry_run`, it only counts.
    pub fn new(
        catalog: &'a Catalog,
        snapshots: &'a SnapshotRepository,
        config: &'a RetentionConfig,
        dry_run: bool,
    ) -> Self {
        Self {
            catalog,
            snapshots,
            config,
            dry_run,
            collected: Collected::default(),
        }
    }

    /// Removes everything that may go.
    ///
    /// # Errors
    /// [`GcError`]; what was removed until then stays removed.
    pub async fn collect(mut self) -> Result<Collected, GcError> {
        if !self.dry_run {
            let removed = remove_forgotten(self.catalog, self.snapshots, true).await?;
            self.collected.orphans += removed.objects;
            self.collected.bytes += removed.bytes;
        }
        // First, since it finds out whether catalog and object storage belong together.
        self.note_lost().await?;
        // The clock that wrote when a snapshot was superseded: this machine's may be ahead.
        let now = self.catalog.now().await?;
        let kept_after = before(now, self.config.min_age);
        let policy = Retention {
            keep: self.config.keep,
            superseded_before: kept_after,
            retired_before: kept_after,
        };
        self.remove_expired(&policy).await?;
        self.remove_orphans(before(now, self.config.orphan_age))
            .await?;
        Ok(self.collected)
    }

    async fn note_lost(&mut self) -> Result<(), GcError> {
        // The catalog before the storage: what is recorded is in the storage already.
        let recorded: Vec<SnapshotRef> = self.catalog.present_snapshots().try_collect().await?;
        let files = |snapshot: &SnapshotRef| snapshot.files().to_vec();
        let mut missing: HashMap<String, usize> = (0..recorded.len())
            .flat_map(|index| {
                files(&recorded[index])
                    .into_iter()
                    .map(move |key| (key, index))
            })
            .collect();
        let expected = missing.len();
        let mut objects = self.snapshots.list();
        while let Some(object) = objects.next().await {
            missing.remove(&object?.key);
        }
        drop(objects);
        if expected > 0 && missing.len() == expected {
            return Err(GcError::WrongStorage {
                snapshots: recorded.len() as u64,
                url: self.snapshots.url().to_owned(),
            });
        }
        let mut lost = BTreeSet::new();
        for (key, index) in missing {
            // A listing may be stale where a request for one object is not.
            if self.snapshots.head(&key).await?.is_none() {
                lost.insert(index);
            }
        }
        for index in lost {
            let snapshot = &recorded[index];
            warn!(store = %snapshot.store_id, job = %snapshot.job_id, "the snapshot's objects are gone");
            if !self.dry_run {
                self.catalog.mark_lost(snapshot).await?;
            }
            self.collected.lost += 1;
        }
        Ok(())
    }

    async fn remove_expired(&mut self, policy: &Retention) -> Result<(), GcError> {
        if self.dry_run {
            let (expired, bytes) = self.catalog.deletable(policy).await?;
            self.collected.expired += expired;
            self.collected.bytes += bytes;
            return Ok(());
        }
        loop {
            let page = self.catalog.start_deleting(policy, GC_PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.delete_snapshots(&page).await?;
            self.catalog.mark_deleted(&page).await?;
            self.count_expired(&page);
        }
    }

    fn count_expired(&mut self, page: &[SnapshotRef]) {
        self.collected.expired += page.len() as u64;
        self.collected.bytes += page.iter().map(|snapshot| snapshot.bytes).sum::<u64>();
    }

    /// Manifests are deleted before what they refer to, so that no reader finds one without its files.
    async fn delete_snapshots(&self, page: &[SnapshotRef]) -> Result<(), GcError> {
        let manifests = page
            .iter()
            .filter_map(|snapshot| snapshot.manifest().cloned());
        self.delete(manifests.collect()).await?;
        let files = page.iter().flat_map(|snapshot| snapshot.files().to_vec());
        self.delete(files.collect()).await?;
        let stores: BTreeSet<&StoreId> = page.iter().map(|snapshot| &snapshot.store_id).collect();
        for store_id in stores {
            if self.catalog.live_snapshot(store_id).await?.is_none() {
                let copies = SnapshotPart::all().map(|part| latest_key(store_id, part));
                self.delete(copies.collect()).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), GcError> {
        Ok(self.snapshots.delete(stream::iter(keys)).await?)
    }

    async fn remove_orphans(&mut self, before: DateTime<Utc>) -> Result<(), GcError> {
        let old = self.snapshots.list().try_filter(move |object| {
            let is_old = object.snapshot.is_some() && object.last_modified < before;
            std::future::ready(is_old)
        });
        let mut pages = old.try_chunks(GC_PAGE);
        let mut orphans = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| error.1)?;
            let (of_page, unknown) = self.orphans_among(page).await?;
            orphans.extend(of_page);
            self.collected.unknown += unknown;
        }
        drop(pages);
        self.collected.orphans += orphans.len() as u64;
        self.collected.bytes += orphans.iter().map(|orphan| orphan.bytes).sum::<u64>();
        if !self.dry_run {
            self.delete(orphans.into_iter().map(|orphan| orphan.key).collect())
                .await?;
        }
        Ok(())
    }

    /// Those of `objects` that no snapshot refers to, though the catalog knows their job; and how many there are
    /// of jobs that it does not know. Those are not touched: they may be all that is left of another catalog.
    async fn orphans_among(
        &self,
        objects: Vec<SnapshotObject>,
    ) -> Result<(Vec<SnapshotObject>, u64), GcError> {
        let jobs: HashSet<JobId> = objects.iter().filter_map(job_of).collect();
        let known = self.catalog.objects_of(&jobs).await?;
        let mut unknown = 0;
        let mut orphans = Vec::new();
        for object in objects {
            match job_of(&object).and_then(|job_id| known.get(&job_id)) {
                None => unknown += 1,
                Some(job) if job.in_flight || job.keys.contains(&object.key) => {}
                Some(_) => orphans.push(object),
            }
        }
        Ok((orphans, unknown))
    }
}

fn before(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(age).unwrap_or(DateTime::UNIX_EPOCH)
}

fn job_of(object: &SnapshotObject) -> Option<JobId> {
    let (name, _) = object.snapshot.as_ref()?;
    Some(name.job_id())
}

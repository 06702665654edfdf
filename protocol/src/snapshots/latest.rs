//! Copies each store's newest snapshot to a name that stays, for plain static hosting.

use std::cmp::Ordering;

use tracing::warn;

use super::{
    name::{SnapshotPart, latest_key},
    repository::{JSON_MEDIA_TYPE, SnapshotRepository, manifest_json},
};
use crate::{
    manifest::{Dated, DisagreeingClocks, Manifest, Rendition},
    objects::{StorageError, Version},
};

/// How often the copy is started again because another job came between.
const TRIES: u32 = 5;

impl SnapshotRepository {
    /// Makes the snapshot that `manifest` describes its store's `latest/` one, unless a newer one is, see [`Dated::order`]: first its
    /// files, then its manifest. A client that downloads in between may see the new file with the old manifest; the
    /// hash does not match then.
    ///
    /// # Errors
    /// [`StorageError`]; then `latest/` may hold a new file with the old manifest, until the next job.
    pub async fn put_latest(&self, manifest: &Manifest) -> Result<(), StorageError> {
        let key = latest_key(&manifest.store_id, SnapshotPart::Manifest);
        let putting = self.replace_latest(&key, manifest);
        self.traced("put latest", &key, putting).await
    }

    /// Takes `withdrawn` away from its store's `latest/`, and puts `live` there instead, if there is one. Does nothing if `latest/` is of
    /// another snapshot, or there is none.
    ///
    /// # Errors
    /// [`StorageError`]; calling again continues where this stopped.
    pub async fn take_back_latest(
        &self,
        withdrawn: &Manifest,
        live: Option<&Manifest>,
    ) -> Result<(), StorageError> {
        let store_id = &withdrawn.store_id;
        let key = latest_key(store_id, SnapshotPart::Manifest);
        let present = self.read_latest(&key).await?;
        let Some((present, _)) = present else {
            return Ok(());
        };
        if !is_same(&present, withdrawn) {
            return Ok(());
        }
        // The manifest at the end: as long as it is there, a killed call is made again.
        let files = SnapshotPart::all().map(|part| latest_key(store_id, part));
        let files: Vec<_> = files.filter(|file| *file != key).collect();
        self.delete(futures::stream::iter(files)).await?;
        self.delete(futures::stream::iter([key])).await?;
        self.sweep_latest(store_id).await?;
        match live {
            Some(live) => self.put_latest(live).await,
            None => Ok(()),
        }
    }

    async fn replace_latest(&self, key: &str, manifest: &Manifest) -> Result<(), StorageError> {
        let mut has_copied = false;
        for _ in 0..TRIES {
            let present = self.read_latest(key).await?;
            if let Some((newest, _)) = &present
                && !is_newer(manifest, newest)
            {
                if !has_copied || self.restore_latest(key, newest).await? {
                    return Ok(());
                }
                continue;
            }
            self.copy_to_latest(manifest).await?;
            has_copied = true;
            let (replaced, version) = present.unzip();
            let json = manifest_json(manifest);
            // False when another job was faster.
            if self.replace(key, JSON_MEDIA_TYPE, json, version).await? {
                self.delete_stale(manifest, replaced.as_ref()).await?;
                // An older job that repaired what it had replaced may have come between the two.
                if self.restore_latest(key, manifest).await? {
                    return Ok(());
                }
            }
        }
        Err(StorageError::Object {
            action: "write",
            key: key.to_owned(),
            url: self.url().to_owned(),
            reason: "other jobs keep replacing it".to_owned(),
            transient: true,
        })
    }

    /// Copies the files of the newest job again, which older ones may have replaced. Returns whether that job is still
    /// the newest: otherwise this may have replaced files in its turn.
    async fn restore_latest(&self, key: &str, newest: &Manifest) -> Result<bool, StorageError> {
        self.copy_to_latest(newest).await?;
        let present = self.read_latest(key).await?;
        Ok(present.is_some_and(|(present, _)| is_same(&present, newest)))
    }

    async fn read_latest(&self, key: &str) -> Result<Option<(Manifest, Version)>, StorageError> {
        let Some((json, version)) = self.read_version(key).await? else {
            return Ok(None);
        };
        Ok(Some((self.parse_manifest(key, &json)?, version)))
    }

    async fn copy_to_latest(&self, manifest: &Manifest) -> Result<(), StorageError> {
        for rendition in manifest.all_renditions() {
            let part = SnapshotPart::Rendition(rendition.kind());
            let target = latest_key(&manifest.store_id, part);
            let content = rendition.kind().described();
            self.copy(&rendition.key, &target, rendition.bytes, content)
                .await?;
        }
        Ok(())
    }

    /// Removes files that are of the replaced snapshot only: renditions that are no longer made.
    async fn delete_stale(
        &self,
        manifest: &Manifest,
        replaced: Option<&Manifest>,
    ) -> Result<(), StorageError> {
        let renditions = replaced.into_iter().flat_map(Manifest::all_renditions);
        let stale = renditions
            .map(Rendition::kind)
            .filter(|&kind| manifest.rendition(kind).is_none())
            .map(|kind| latest_key(&manifest.store_id, SnapshotPart::Rendition(kind)));
        self.delete(futures::stream::iter(stale.collect::<Vec<_>>()))
            .await
    }
}

fn is_newer(manifest: &Manifest, present: &Manifest) -> bool {
    let order = Dated::from(manifest).order(&present.into());
    if order.clocks_disagree {
        warn!("{}", DisagreeingClocks(manifest, present));
    }
    order.ordering == Ordering::Greater
}

fn is_same(one: &Manifest, other: &Manifest) -> bool {
    (one.job_id, one.attempt) == (other.job_id, other.attempt)
}

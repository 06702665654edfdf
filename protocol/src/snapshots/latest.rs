//! The copy of each store's newest snapshot under a name that stays, for plain static hosting.

use object_store::{
    Error as E, ObjectStoreExt, PutMode, PutOptions, UpdateVersion, path::Path as Key,
};
use tokio_util::{io::StreamReader, sync::CancellationToken};

use super::{SnapshotPart, SnapshotStore, SnapshotStoreError, latest_key, transfer};
use crate::message::{Manifest, Rendition};

/// Up to this size, in bytes, the store copies an object by itself. S3 would up to 5 GiB
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>), but not within the time of one request.
const MAX_COPY_BYTES: u64 = 1 << 30;

/// How often the copy is begun anew because another job came between.
const TRIES: u32 = 5;

impl SnapshotStore {
    /// Makes the snapshot that `manifest` describes its store's `latest/` one, unless a newer job's is: first
    /// its files, then its manifest. Whoever downloads meanwhile may see the new file with the old manifest,
    /// which its hash tells.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; then `latest/` may hold a new file with the old manifest, until the next job.
    pub async fn put_latest(&self, manifest: &Manifest) -> Result<(), SnapshotStoreError> {
        let key = latest_key(&manifest.store_id, SnapshotPart::Manifest);
        let putting = self.replace_latest(&key, manifest);
        self.traced("put latest", &key, putting).await
    }

    async fn replace_latest(
        &self,
        key: &str,
        manifest: &Manifest,
    ) -> Result<(), SnapshotStoreError> {
        let mut has_copied = false;
        for _ in 0..TRIES {
            let present = self.read_latest(key).await?;
            if let Some((newest, _)) = &present
                && order(newest) >= order(manifest)
            {
                if !has_copied || self.restore_latest(key, newest).await? {
                    return Ok(());
                }
                continue;
            }
            self.copy_to_latest(manifest).await?;
            has_copied = true;
            let (replaced, version) = present.unzip();
            match self.write_latest(key, manifest, version.flatten()).await {
                Ok(()) => {
                    self.delete_stale(manifest, replaced.as_ref()).await?;
                    // An older job that repaired what it had replaced may have come between the two.
                    if self.restore_latest(key, manifest).await? {
                        return Ok(());
                    }
                }
                // Another job was faster.
                Err(E::AlreadyExists { .. } | E::Precondition { .. }) => {}
                Err(error) => return Err(self.failed("write", key, &error)),
            }
        }
        Err(self.failed(
            "write",
            key,
            &E::Generic {
                store: "latest",
                source: "other jobs keep replacing it".into(),
            },
        ))
    }

    /// Copies the files of the newest job again, which older ones may have replaced. Tells whether that job is
    /// still the newest: otherwise this may have replaced files in its turn.
    async fn restore_latest(
        &self,
        key: &str,
        newest: &Manifest,
    ) -> Result<bool, SnapshotStoreError> {
        self.copy_to_latest(newest).await?;
        let present = self.read_latest(key).await?;
        Ok(present.is_some_and(|(present, _)| order(&present) == order(newest)))
    }

    async fn read_latest(
        &self,
        key: &str,
    ) -> Result<Option<(Manifest, Option<UpdateVersion>)>, SnapshotStoreError> {
        let object = match self.objects.get(&Key::from(key)).await {
            Ok(object) => object,
            Err(E::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", key, &error)),
        };
        // Files have versions, but none that the next write can be made to depend on.
        let version = self.place.directory().is_none().then(|| UpdateVersion {
            e_tag: object.meta.e_tag.clone(),
            version: object.meta.version.clone(),
        });
        let json = object.bytes().await;
        let json = json.map_err(|e| self.failed("read", key, &e))?;
        Ok(Some((self.parse_manifest(key, &json)?, version)))
    }

    async fn write_latest(
        &self,
        key: &str,
        manifest: &Manifest,
        replaced: Option<UpdateVersion>,
    ) -> Result<(), E> {
        let mode = match replaced {
            Some(version) => PutMode::Update(version),
            None if self.place.directory().is_some() => PutMode::Overwrite,
            None => PutMode::Create,
        };
        let options = |mode| PutOptions {
            mode,
            attributes: self.json_attributes(),
            ..PutOptions::default()
        };
        let (key, json) = (Key::from(key), super::upload::manifest_json(manifest));
        let put = |mode| {
            self.objects
                .put_opts(&key, json.clone().into(), options(mode))
        };
        match put(mode).await {
            Err(E::NotImplemented { .. }) => put(PutMode::Overwrite).await.map(|_| ()),
            written => written.map(|_| ()),
        }
    }

    async fn copy_to_latest(&self, manifest: &Manifest) -> Result<(), SnapshotStoreError> {
        for rendition in &manifest.renditions {
            let part = SnapshotPart::File(rendition.encoding);
            let target = Key::from(latest_key(&manifest.store_id, part));
            if rendition.bytes > MAX_COPY_BYTES && self.place.directory().is_none() {
                self.send_copy(rendition, &target).await?;
            } else {
                let source = Key::from(rendition.key.as_str());
                let copied = self.objects.copy(&source, &target).await;
                copied.map_err(|e| self.failed("copy", &rendition.key, &e))?;
            }
        }
        Ok(())
    }

    /// Copies what is too large for the store to copy by itself.
    async fn send_copy(
        &self,
        rendition: &Rendition,
        target: &Key,
    ) -> Result<(), SnapshotStoreError> {
        let source = Key::from(rendition.key.as_str());
        let object = self.objects.get(&source).await;
        let object = object.map_err(|e| self.failed("read", &rendition.key, &e))?;
        let attributes = self.attributes(rendition.encoding);
        let input = StreamReader::new(object.into_stream());
        let stop = CancellationToken::new();
        let sent = transfer::send(&self.objects, target, attributes, input, &stop).await;
        sent.map(|_| ())
            .map_err(|e| self.not_sent(target.as_ref(), e))
    }

    /// Removes files that are of the replaced snapshot only: renditions that are no longer made.
    async fn delete_stale(
        &self,
        manifest: &Manifest,
        replaced: Option<&Manifest>,
    ) -> Result<(), SnapshotStoreError> {
        let renditions = replaced.map_or(&[][..], |replaced| &replaced.renditions);
        let is_stale = |old: &&Rendition| {
            let mut current = manifest.renditions.iter();
            !current.any(|new| new.encoding == old.encoding)
        };
        let stale = renditions.iter().filter(is_stale).map(|rendition| {
            latest_key(&manifest.store_id, SnapshotPart::File(rendition.encoding))
        });
        self.delete(futures::stream::iter(stale.collect::<Vec<_>>()))
            .await
    }
}

/// What makes a snapshot newer than another of the same store: job ids sort by time.
fn order(manifest: &Manifest) -> (crate::JobId, crate::Attempt) {
    (manifest.job_id, manifest.attempt)
}

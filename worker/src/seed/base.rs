//! What the live snapshot of a store is good for when a job starts from it: everything, when nothing has changed;
//! most of it, when little has; or nothing, and then why not.

use std::{collections::HashMap, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    message::{
        BaseSnapshot, BucketCheckpoint, Checkpoint, Download, Encoding, FullReason, Rendition,
        SeedJob,
    },
    snapshots::SnapshotStoreError,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::info;

use crate::{
    seed::download::{SyncError, Target},
    seed::error::SeedError,
    seed::job::Seeder,
    seed::workdir::JobDirectory,
};

/// What a byte of operations takes in a stream when there is no better guess: a small row.
const BYTES_PER_OPERATION: f64 = 500.0;

/// What a base is good for.
pub(crate) enum Use {
    /// It is what the service holds, at this checkpoint.
    Unchanged(Checkpoint),
    /// What has changed since can be added to it.
    Start,
    /// Nothing.
    Nothing(FullReason),
}

impl Seeder {
    /// What the job's base is good for, and what it took to find out.
    ///
    /// # Errors
    /// What ends the attempt: the service cannot be asked.
    pub(crate) async fn judge(
        &self,
        job: &SeedJob,
        base: &BaseSnapshot,
    ) -> Result<(Use, Download), SeedError> {
        if let Some(because) = self.unfit(job, base) {
            return Ok((Use::Nothing(because), Download::default()));
        }
        let target = self.target(job, &base.checkpoint).await?;
        let Target {
            checkpoint,
            download,
        } = target;
        let good_for = if same_rows(&base.checkpoint, &checkpoint) {
            if self.has_all_files(job, base).await {
                Use::Unchanged(checkpoint)
            } else {
                Use::Nothing(FullReason::BaseFile)
            }
        } else if self.pays(base, &checkpoint) {
            Use::Start
        } else {
            Use::Nothing(FullReason::Changed)
        };
        Ok((good_for, download))
    }

    /// Why the base cannot be what this job would make, whatever the service holds.
    fn unfit(&self, job: &SeedJob, base: &BaseSnapshot) -> Option<FullReason> {
        let checks = [
            (
                base.powersync_endpoint == self.endpoint,
                FullReason::Endpoint,
            ),
            (
                base.core_version == self.core_version,
                FullReason::CoreVersion,
            ),
            (
                base.schema_fingerprint == self.schema.fingerprint(),
                FullReason::Schema,
            ),
            (
                base.selection_fingerprint == self.selection_fingerprint(job),
                FullReason::Selection,
            ),
            (
                self.upload.is_in_its_forms(&base.renditions),
                FullReason::Renditions,
            ),
            (
                !self.would_expire(job, base.created_at),
                FullReason::Subscriptions,
            ),
        ];
        let unfit = checks.into_iter().find(|(fits, _)| !fits);
        unfit.map(|(_, because)| because)
    }

    /// SHA-256, in hex, of what the job asks for beside its claims, as it stands in the snapshot.
    pub(crate) fn selection_fingerprint(&self, job: &SeedJob) -> String {
        let selection = json!([
            job.parameters,
            job.default_streams,
            job.subscriptions,
            self.subscription_ttl.as_secs()
        ]);
        format!("{:x}", Sha256::digest(selection.to_string()))
    }

    /// Explicit subscriptions of a snapshot last from when it was made. An app that starts from one shall have at least
    /// half of their time left.
    fn would_expire(&self, job: &SeedJob, created_at: DateTime<Utc>) -> bool {
        let half = TimeDelta::from_std(self.subscription_ttl / 2).unwrap_or(TimeDelta::MAX);
        let age = Utc::now() - created_at;
        !job.subscriptions.is_empty() && age > half
    }

    async fn has_all_files(&self, job: &SeedJob, base: &BaseSnapshot) -> bool {
        for (key, bytes) in self.upload.keys(&job.scope.store_id, &base.renditions) {
            match self.snapshots.look_up(&key).await {
                Ok(Some(object)) if bytes.is_none_or(|bytes| object.bytes == bytes) => {}
                Ok(_) => {
                    info!("downloading all rows: {key:?} is missing from the snapshot store");
                    return false;
                }
                Err(error) => {
                    info!("downloading all rows: {error}");
                    return false;
                }
            }
        }
        true
    }

    /// Whether fetching the base and downloading what has changed costs less than downloading everything.
    fn pays(&self, base: &BaseSnapshot, target: &Checkpoint) -> bool {
        let Download {
            bytes, operations, ..
        } = base.download;
        let per_operation = match operations {
            0 => BYTES_PER_OPERATION,
            operations => bytes as f64 / operations as f64,
        };
        let fetched = smallest(&base.renditions).map_or(0, |rendition| rendition.bytes);
        let with_base = fetched as f64 * self.base_cost
            + changed_operations(&base.checkpoint, target) as f64 * per_operation;
        with_base < target.operations() as f64 * per_operation
    }

    /// Fetches the base into `directory`.
    ///
    /// # Errors
    /// [`SeedError::Base`], also when it is not what was uploaded.
    pub(crate) async fn fetch(
        &self,
        base: &BaseSnapshot,
        directory: &JobDirectory,
    ) -> Result<PathBuf, SeedError> {
        let file = directory.file("base.sqlite");
        // Checked when the job was judged: a snapshot has at least one file.
        let rendition = smallest(&base.renditions).ok_or_else(|| {
            SeedError::Base(SnapshotStoreError::NotFound {
                key: String::new(),
                url: self.snapshots.url().to_owned(),
            })
        })?;
        let fetched = self.snapshots.fetch_database(rendition, &file).await;
        fetched.map_err(SeedError::Base)?;
        Ok(file)
    }
}

/// Whether `error`, of an attempt to go on from a base, may be the base's fault; then a full download is right at once.
pub(crate) fn blames_the_base(error: &SeedError) -> Option<FullReason> {
    match error {
        SeedError::Base(_) => Some(FullReason::BaseFile),
        SeedError::Sync(SyncError::Checksum(_) | SyncError::Database(_))
        | SeedError::Verify(_)
        | SeedError::Snapshot(_) => Some(FullReason::Mismatch),
        _ => None,
    }
}

fn smallest(renditions: &[Rendition]) -> Option<&Rendition> {
    renditions.iter().min_by_key(|rendition| rendition.bytes)
}

/// Whether both have the same buckets with the same checksums. Op ids do not count: a service may have compacted.
fn same_rows(base: &Checkpoint, target: &Checkpoint) -> bool {
    let sums = |checkpoint: &Checkpoint| -> HashMap<String, u32> {
        let buckets = checkpoint.buckets.iter();
        buckets.map(|b| (b.bucket.clone(), b.checksum)).collect()
    };
    base.buckets.len() == target.buckets.len() && sums(base) == sums(target)
}

/// An estimate of how many operations of `target` are not in `base`.
fn changed_operations(base: &Checkpoint, target: &Checkpoint) -> u64 {
    let known: HashMap<&str, &BucketCheckpoint> = base
        .buckets
        .iter()
        .map(|bucket| (bucket.bucket.as_str(), bucket))
        .collect();
    let changed = |bucket: &BucketCheckpoint| match known.get(bucket.bucket.as_str()) {
        None => bucket.operations,
        Some(base) if base.checksum == bucket.checksum => 0,
        Some(base) => bucket.operations.abs_diff(base.operations).max(1),
    };
    target.buckets.iter().map(changed).sum()
}

/// Whether these files are in exactly these encodings.
pub(crate) fn are_in(renditions: &[Rendition], encodings: &[Encoding]) -> bool {
    renditions.len() == encodings.len()
        && renditions
            .iter()
            .all(|rendition| encodings.contains(&rendition.encoding))
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::OpId;

    use super::*;

    fn checkpoint(buckets: &[(&str, u32, u64)]) -> Checkpoint {
        let bucket = |&(bucket, checksum, operations): &(&str, u32, u64)| BucketCheckpoint {
            bucket: bucket.to_owned(),
            last_op: OpId(0),
            checksum,
            priority: 3,
            operations,
        };
        Checkpoint {
            last_op_id: OpId(0),
            buckets: buckets.iter().map(bucket).collect(),
        }
    }

    #[test]
    fn the_same_buckets_with_the_same_checksums_are_the_same_rows() {
        let base = checkpoint(&[("a", 1, 10), ("b", 2, 20)]);
        assert!(same_rows(&base, &checkpoint(&[("b", 2, 7), ("a", 1, 10)])));
        assert!(!same_rows(
            &base,
            &checkpoint(&[("a", 1, 10), ("b", 3, 20)])
        ));
        assert!(!same_rows(&base, &checkpoint(&[("a", 1, 10)])));
        assert!(!same_rows(
            &base,
            &checkpoint(&[("a", 1, 10), ("c", 2, 20)])
        ));
    }

    #[test]
    fn what_has_changed_is_estimated_by_bucket() {
        let base = checkpoint(&[("a", 1, 10), ("b", 2, 20), ("gone", 5, 50)]);
        let changed = |buckets: &[_]| changed_operations(&base, &checkpoint(buckets));
        assert_eq!(changed(&[("a", 1, 10), ("b", 2, 20)]), 0);
        assert_eq!(changed(&[("a", 9, 13), ("b", 2, 20)]), 3);
        // Compacted meanwhile: something has changed all the same.
        assert_eq!(changed(&[("a", 9, 10), ("b", 2, 20)]), 1);
        assert_eq!(changed(&[("2#a", 1, 10), ("2#b", 2, 20)]), 30);
    }
}

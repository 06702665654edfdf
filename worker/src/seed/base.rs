//! Decides how much of a store's live snapshot, its base, a job can reuse: all of it, a starting point, or nothing and
//! why.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    checkpoint::{BucketCheckpoint, Checkpoint},
    digest::sha256_hex,
    manifest::{Download, FullReason},
    message::{BaseSnapshot, SeedJob},
};
use serde_json::json;

use super::{
    download::{Compared, Downloader},
    download_error::DownloadError,
    error::SeedError,
};
use crate::snapshot::{Uploader, smallest};

/// The size of an operation in a stream when nothing better is known, in bytes: a small row.
const BYTES_PER_OPERATION: f64 = 500.0;

/// How much of a base a job can reuse.
pub(super) enum Reuse {
    /// All of it: it is what the service holds, at this checkpoint.
    Unchanged(Checkpoint),
    /// A starting point: what has changed can be added to it.
    Resume,
    /// Nothing.
    Nothing(FullReason),
}

/// What a base must have in common with the snapshots of this worker, and when reusing it pays.
pub(super) struct BasePolicy {
    pub(super) endpoint: String,
    pub(super) core_version: String,
    pub(super) schema_fingerprint: String,
    pub(super) subscription_ttl: Duration,
    /// The cost of a byte of a base, relative to a byte of a stream.
    pub(super) base_cost: f64,
}

impl BasePolicy {
    /// Decides how much of `base` the job can reuse. Also returns what it took to find out.
    ///
    /// # Errors
    /// [`DownloadError`] when the service cannot be asked.
    pub(super) async fn judge(
        &self,
        job: &SeedJob,
        base: &BaseSnapshot,
        downloader: &Downloader,
        uploader: &Uploader,
    ) -> Result<(Reuse, Download), DownloadError> {
        if let Some(because) = self.unfit(job, base, uploader) {
            return Ok((Reuse::Nothing(because), Download::default()));
        }
        let Compared {
            checkpoint,
            download,
        } = downloader.compare(job, &base.checkpoint).await?;
        let store_id = &job.scope.store_id;
        let reuse = if same_rows(&base.checkpoint, &checkpoint) {
            if uploader.is_complete(store_id, &base.renditions).await {
                Reuse::Unchanged(checkpoint)
            } else {
                Reuse::Nothing(FullReason::BaseFile)
            }
        } else if self.pays(base, &checkpoint) {
            Reuse::Resume
        } else {
            Reuse::Nothing(FullReason::Changed)
        };
        Ok((reuse, download))
    }

    /// Returns why the base cannot become this job's snapshot, whatever the service holds.
    fn unfit(&self, job: &SeedJob, base: &BaseSnapshot, uploader: &Uploader) -> Option<FullReason> {
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
                base.schema_fingerprint == self.schema_fingerprint,
                FullReason::Schema,
            ),
            (
                base.selection_fingerprint == self.selection_fingerprint(job),
                FullReason::Selection,
            ),
            (
                uploader.has_encodings(&base.renditions),
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

    /// Returns the SHA-256, in hex, of what the job selects besides its claims, as far as the snapshot records it.
    pub(super) fn selection_fingerprint(&self, job: &SeedJob) -> String {
        let selection = json!([
            job.parameters,
            job.default_streams,
            job.subscriptions,
            self.subscription_ttl.as_secs()
        ]);
        sha256_hex(selection.to_string())
    }

    /// Whether more than half of the explicit subscriptions' time is over. It begins when a snapshot is made, and an
    /// app that starts from one needs the rest.
    fn would_expire(&self, job: &SeedJob, created_at: DateTime<Utc>) -> bool {
        let half = TimeDelta::from_std(self.subscription_ttl / 2).unwrap_or(TimeDelta::MAX);
        let age = Utc::now() - created_at;
        !job.subscriptions.is_empty() && age > half
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
}

/// Returns the reason for a full download if `error`, of an attempt to reuse a base, may be the base's fault. The full
/// download is then right at once.
pub(super) fn blames_the_base(error: &SeedError) -> Option<FullReason> {
    match error {
        SeedError::Base(_) => Some(FullReason::BaseFile),
        SeedError::Download(DownloadError::Checksum(_) | DownloadError::Database(_))
        | SeedError::Verify(_)
        | SeedError::Finish(_) => Some(FullReason::Mismatch),
        _ => None,
    }
}

/// Whether both have the same buckets with the same checksums. Op ids do not count: the service may have compacted.
fn same_rows(base: &Checkpoint, target: &Checkpoint) -> bool {
    let sums = |checkpoint: &Checkpoint| -> HashMap<String, u32> {
        let buckets = checkpoint.buckets.iter();
        buckets.map(|b| (b.bucket.clone(), b.checksum)).collect()
    };
    base.buckets.len() == target.buckets.len() && sums(base) == sums(target)
}

/// Estimates how many operations of `target` are not in `base`.
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
        // The service has compacted since: something has changed all the same.
        assert_eq!(changed(&[("a", 9, 10), ("b", 2, 20)]), 1);
        assert_eq!(changed(&[("2#a", 1, 10), ("2#b", 2, 20)]), 30);
    }
}

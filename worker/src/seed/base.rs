//! Decides how much of a store's live snapshot, its base, a job can reuse: all of it, a starting point, or nothing and
//! why.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::{
    digest::sha256_hex,
    manifest::{Checkpoint, Download, FullReason},
    message::{BaseSnapshot, SeedJob},
};
use serde_json::json;
use tracing::info;

use super::{
    download::{Compared, Downloader},
    download_error::DownloadError,
    error::SeedError,
};
use crate::snapshot::{Uploader, is_in_order, smallest, verify::VerifyError};

/// The size of an operation in a stream when nothing better is known, in bytes: a small row.
const BYTES_PER_OPERATION: f64 = 500.0;

/// How much of a base a job can reuse.
pub(super) enum Reuse {
    /// All of it: it is what the service holds, at this checkpoint.
    Unchanged(Checkpoint),
    /// A starting point: what has changed up to this checkpoint can be added to it.
    Resume(Checkpoint),
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
    /// One in so many files that continue a base with few changes is verified as a whole; 0 for none.
    pub(super) whole_every: u32,
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
            ..
        } = downloader.compare(job, &base.checkpoint).await?;
        let store_id = &job.scope.store_id;
        let reuse = if base.checkpoint.same_rows(&checkpoint) {
            if uploader.is_complete(store_id, base).await {
                Reuse::Unchanged(checkpoint)
            } else {
                Reuse::Nothing(FullReason::BaseFile)
            }
        } else if self.pays(base, &checkpoint, downloader.prepared(&checkpoint)) {
            Reuse::Resume(checkpoint)
        } else if base.checkpoint.generation() != checkpoint.generation() {
            info!(
                from = base.checkpoint.generation(),
                to = checkpoint.generation(),
                "downloading all rows: the sync config has changed"
            );
            Reuse::Nothing(FullReason::Config)
        } else {
            Reuse::Nothing(FullReason::Changed)
        };
        Ok((reuse, download))
    }

    /// Returns whether a file that continues `base` up to `target` is verified only where it has changed.
    pub(super) async fn checks_changes(
        &self,
        job: &SeedJob,
        base: &BaseSnapshot,
        target: &Checkpoint,
        uploader: &Uploader,
    ) -> bool {
        let loose = base.loose_operations + target.changed_since(&base.checkpoint);
        !job.job_id.is_one_in(self.whole_every)
            && base.checkpoint.generation() == target.generation()
            && is_in_order(loose, target.operations())
            // What it says of rows that have not changed is found by reading them.
            && !uploader.may_have_notes(base).await
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
            (uploader.has_renditions(base), FullReason::Renditions),
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

    /// Whether fetching the base and downloading what has changed costs less than downloading everything but the operations
    /// that are `prepared` in a template.
    fn pays(&self, base: &BaseSnapshot, target: &Checkpoint, prepared: u64) -> bool {
        let Download {
            bytes, operations, ..
        } = base.download;
        let per_operation = match operations {
            0 => BYTES_PER_OPERATION,
            operations => bytes as f64 / operations as f64,
        };
        let fetched = smallest(base).map_or(0, |rendition| rendition.bytes);
        let with_base = fetched as f64 * self.base_cost
            + target.changed_since(&base.checkpoint) as f64 * per_operation;
        let missing = target.operations().saturating_sub(prepared);
        with_base < missing as f64 * per_operation
    }
}

/// Returns the reason for a full download if `error`, of an attempt to reuse a base, may be the base's fault. The full
/// download is then right at once.
pub(super) fn blames_the_base(error: &SeedError) -> Option<FullReason> {
    match error {
        // It is the row at its source.
        SeedError::Verify(VerifyError::UnreadableRows(_)) => None,
        SeedError::Base(_) => Some(FullReason::BaseFile),
        SeedError::Download(DownloadError::Checksum(_) | DownloadError::Database(_))
        | SeedError::Verify(_)
        | SeedError::Form(_)
        | SeedError::Finish(_) => Some(FullReason::Mismatch),
        _ => None,
    }
}

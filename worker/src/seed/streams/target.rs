//! Refuses a checkpoint whose snapshot would look like a good one and lacks rows.

use std::collections::BTreeSet;

use seedbed_protocol::message::SeedJob;

use crate::{oplog::TargetCheckpoint, seed::download_error::DownloadError};

/// Refuses a target without buckets, or without a stream that the job subscribes to: its snapshot would look like a
/// good one.
pub(super) fn check_target(target: &TargetCheckpoint, job: &SeedJob) -> Result<(), DownloadError> {
    check_streams(target, job)?;
    if target.is_empty() {
        Err(DownloadError::NoBucket)
    } else {
        Ok(())
    }
}

/// Refuses a target without a stream that the job subscribes to, or whose rows would be missing.
pub(super) fn check_streams(target: &TargetCheckpoint, job: &SeedJob) -> Result<(), DownloadError> {
    let unknown: BTreeSet<String> = job
        .subscriptions
        .iter()
        .filter(|subscription| target.lacks_stream(&subscription.stream))
        .map(|subscription| format!("{:?}", subscription.stream))
        .collect();
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.into_iter().collect();
        return Err(DownloadError::UnknownStream(
            unknown.join(" and no stream "),
        ));
    }
    if let Some((stream, reason)) = target.broken_stream() {
        let (stream, reason) = (stream.to_owned(), reason.to_owned());
        return Err(DownloadError::BrokenStream { stream, reason });
    }
    Ok(())
}

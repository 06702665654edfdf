//! Why an attempt at a job failed, and whether another attempt could help. Joins the errors of all steps.

use std::time::Duration;

use seedbed_protocol::{
    message::{FailureKind, codec::CodecError},
    objects::StorageError,
};

use super::{download_error::DownloadError, workdir::WorkDirectoryError};
use crate::snapshot::{
    FetchError, FinishError, forms::FormError, sealed::SealError, verify::VerifyError,
};

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The attempt got no directory.
    #[error(transparent)]
    WorkDirectory(#[from] WorkDirectoryError),
    /// The store was not downloaded.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The synced database did not become a clean file.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// The file did not pass verification.
    #[error("the snapshot does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// Another form of the file was not made, or is not what the file is.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The file was not encrypted.
    #[error("the snapshot cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The file was not stored.
    #[error(transparent)]
    Upload(#[from] StorageError),
    /// The base snapshot could not be fetched.
    #[error(transparent)]
    Base(#[from] FetchError),
    /// The job's deadline passed.
    #[error("the job's deadline has passed; raise worker.job_deadline or add workers")]
    Deadline,
    /// The attempt took too long.
    #[error(
        "the job took longer than {}; raise worker.job_timeout if the store is that large",
        humantime::format_duration(*.0)
    )]
    Timeout(Duration),
    /// So many workers took the job without reporting a result.
    #[error(
        "{0} workers took the job and none came to an end; was one of them killed for its memory? Look at the \
         logs around its start, then `seedbed retry`"
    )]
    Poison(u32),
    /// The message cannot be read.
    #[error(transparent)]
    Unreadable(#[from] CodecError),
    /// The job panicked: a bug in the worker.
    #[error("the job panicked: {0}")]
    Panic(String),
}

impl SeedError {
    /// Returns whether another attempt could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::WorkDirectory(error) => error.is_transient(),
            Self::Download(error) => error.is_transient(),
            Self::Finish(error) => error.is_transient(),
            Self::Verify(error) => error.is_transient(),
            Self::Form(error) => error.is_transient(),
            Self::Seal(error) => error.is_transient(),
            Self::Upload(error) => error.is_transient(),
            Self::Base(error) => error.is_transient(),
            Self::Deadline
            | Self::Timeout(_)
            | Self::Poison(_)
            | Self::Unreadable(_)
            | Self::Panic(_) => false,
        }
    }

    /// Returns whether the service had no stream left for the job, which says nothing about the job.
    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Download(DownloadError::Stream(error)) if error.is_overload())
    }

    /// Returns [`Self::is_transient`] as messages have it.
    pub fn kind(&self) -> FailureKind {
        if self.is_transient() {
            FailureKind::Transient
        } else {
            FailureKind::Permanent
        }
    }

    /// Returns how long the service asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Download(DownloadError::Stream(error)) => error.retry_after(),
            _ => None,
        }
    }

    /// Returns the error's kind as one short word, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::WorkDirectory(_) => "work_directory",
            Self::Download(error) => error.name(),
            Self::Finish(error) => error.name(),
            Self::Verify(_) => "verify",
            Self::Form(_) => "form",
            Self::Seal(_) => "seal",
            Self::Upload(error) => error.name(),
            Self::Base(error) => error.name(),
            Self::Deadline => "deadline",
            Self::Timeout(_) => "timeout",
            Self::Poison(_) => "poison",
            Self::Unreadable(_) => "unreadable",
            Self::Panic(_) => "panic",
        }
    }

    /// Returns the step that failed.
    pub fn step(&self) -> &'static str {
        match self {
            Self::WorkDirectory(_) | Self::Poison(_) | Self::Unreadable(_) => "take",
            Self::Deadline | Self::Timeout(_) | Self::Panic(_) => "seed",
            Self::Download(DownloadError::Token(_)) => "token",
            Self::Download(_) => "sync",
            Self::Finish(error) => error.step(),
            Self::Verify(_) => "verify",
            Self::Form(_) => "forms",
            Self::Seal(_) => "seal",
            Self::Upload(_) => "upload",
            Self::Base(_) => "fetch",
        }
    }
}

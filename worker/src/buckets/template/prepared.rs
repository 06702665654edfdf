//! A prepared database, and why one is of no use.

use std::{fs, io, path::Path, sync::Arc};

use serde_json::{Value, json};
use tracing::Span;

use super::set::Set;
use crate::{
    buckets::{entry::EntryError, near::CachedFile},
    oplog::{DatabaseError, OpLogError},
    snapshot::{FinishError, Stop, before::BasePages, verify::VerifyError},
};

/// Why a template is of no use. The job goes on without it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// The lines of an entry.
    #[error("an entry: {0}")]
    Entry(#[from] EntryError),
    /// A file.
    #[error("a file: {0}")]
    File(#[from] io::Error),
    /// The operation log.
    #[error(transparent)]
    Log(#[from] OpLogError),
    /// The checkpoint of its entries was not applied, or is not what it should be.
    #[error("its checkpoint: {0}")]
    Checkpoint(String),
    /// It could not be finished.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// It did not pass verification.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A page is not as it was when it was verified.
    #[error("it was altered, or its disk fails")]
    Altered,
    /// The file that a job made of a copy was refused.
    #[error("what was made of it was refused: {0}")]
    Result(String),
    /// A thread panicked.
    #[error("a thread panicked: {0}")]
    Panicked(String),
}

impl TemplateError {
    /// Returns its kind as one short word, for metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Entry(error) => error.name(),
            Self::File(_) => "file",
            Self::Log(_) => "database",
            Self::Checkpoint(_) => "checkpoint",
            Self::Finish(_) => "finish",
            Self::Verify(_) => "verify",
            Self::Altered => "altered",
            Self::Result(_) => "result",
            Self::Panicked(_) => "panic",
        }
    }
}

impl From<DatabaseError> for TemplateError {
    fn from(error: DatabaseError) -> Self {
        Self::Log(error.into())
    }
}

/// A database at the positions of some entries, without the identity of a client.
#[derive(Debug)]
pub(crate) struct Template {
    pub(super) set: Set,
    pub(super) file: CachedFile,
    pub(super) bytes: u64,
    /// As they were when the file was verified.
    pub(super) pages: BasePages,
}

impl Template {
    /// Returns how many operations it was made of.
    pub(crate) fn operations(&self) -> u64 {
        self.set.operations()
    }

    /// Returns the entries that it was made of.
    pub(in crate::buckets) fn set(&self) -> &Set {
        &self.set
    }

    /// Copies it to `file`, without copying its bytes where the file system can share them. Returns the pages of the copy.
    ///
    /// # Errors
    /// [`TemplateError::Altered`], or [`TemplateError::File`].
    pub(crate) async fn copy(self: &Arc<Self>, file: &Path) -> Result<BasePages, TemplateError> {
        let (template, file) = (self.clone(), file.to_owned());
        let stop = Stop::default();
        let _abandon = stop.on_drop();
        let copying = move || {
            fs::copy(template.file.path(), &file)?;
            match template.pages.are_of(&file, &stop) {
                Ok(true) => Ok(template.pages.clone()),
                Ok(false) | Err(_) => Err(TemplateError::Altered),
            }
        };
        blocking(copying).await
    }

    /// Returns whether a log asks with `request` for what follows its entries, and for nothing else that it has.
    pub(crate) fn is_continued_by(&self, request: &str) -> bool {
        let Ok(request) = serde_json::from_str::<Value>(request) else {
            return false;
        };
        let Some(asked) = request["buckets"].as_array() else {
            return false;
        };
        let mut positions = self.set.positions();
        let is_asked = |(bucket, after): (&str, i64)| {
            asked.contains(&json!({ "name": bucket, "after": after.to_string() }))
        };
        asked.len() == self.set.buckets().count() && positions.all(is_asked)
    }
}

/// Runs `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    let span = Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(error) => Err(TemplateError::Panicked(error.to_string())),
    }
}

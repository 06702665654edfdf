//! Checks a changed file, its pages and its rows at the same time.

use std::{fs::File, path::Path};

use seedbed_protocol::digest::Hashed;

use super::check::check_changed;
use crate::snapshot::{
    before::Before,
    verify::{
        error::VerifyError,
        facts::{Expected, FileFacts, check_journal_mode},
        file::SnapshotFile,
        identity::check_identity,
        rows::check_untyped,
    },
};

impl SnapshotFile {
    /// Checks the file at `path`, which is this one, where it can differ from the verified base that it was `before`; all of
    /// it if more than rows has changed. Also returns the hash of the file. Blocks.
    ///
    /// # Errors
    /// [`VerifyError`] names the first thing that is wrong.
    pub fn verify_changed(
        self,
        path: &Path,
        before: &Before,
        expected: &Expected<'_>,
    ) -> Result<(FileFacts, Hashed), VerifyError> {
        let (changes, pages) = std::thread::scope(|threads| {
            let pages = threads.spawn(|| before.compare(path, &self.stop));
            let changes = self.check_changes(path, before, expected);
            let pages = pages
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (changes, pages)
        });
        if self.stop.is_set() {
            return Err(VerifyError::Abandoned);
        }
        // Damage explains every other error, so it is reported first.
        let (hashed, differs) = pages.map_err(VerifyError::Read)?;
        if let Some(page) = differs {
            return Err(VerifyError::Integrity(format!(
                "page {page} is not what it was in the base, and was not written"
            )));
        }
        let facts = match changes? {
            Some(facts) => facts,
            None => self.verify(expected)?,
        };
        Ok((facts, hashed))
    }

    fn check_changes(
        &self,
        path: &Path,
        before: &Before,
        expected: &Expected<'_>,
    ) -> Result<Option<FileFacts>, VerifyError> {
        // The app's own statements fill raw tables.
        if !expected.raw_tables.is_empty() {
            return Ok(None);
        }
        let connection = &self.content;
        check_journal_mode(connection)?;
        check_identity(connection)?;
        check_untyped(connection)?;
        let file = File::open(path).map_err(VerifyError::Read)?;
        check_changed(connection, (&file, &self.stop), before, expected)
    }
}

//! Makes missing directories for a check, and removes them afterwards.

use std::path::{Path, PathBuf};

use crate::{catalog, settings::Settings};

/// Where the file of an SQLite catalog is to be.
pub(super) fn catalog_directory(settings: &Settings) -> Option<PathBuf> {
    let url = settings.catalog.url.expose();
    let file = url.starts_with("sqlite:").then(|| catalog::file_of(url))?;
    let directory = file.parent().unwrap_or(Path::new(""));
    Some(match directory.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => directory.to_owned(),
    })
}

pub(super) fn snapshot_directory(settings: &Settings) -> Option<PathBuf> {
    let path = settings.snapshots.url.strip_prefix("file:")?;
    Some(path.strip_prefix("//").unwrap_or(path).into())
}

/// Removes the directories that did not exist before, if nothing is in them.
pub(super) struct RemoveNewDirectories(Vec<PathBuf>);

impl RemoveNewDirectories {
    pub(super) fn of(directories: impl IntoIterator<Item = Option<PathBuf>>) -> Self {
        let mut missing: Vec<PathBuf> = Vec::new();
        for directory in directories.into_iter().flatten() {
            let ancestors = directory.ancestors();
            let new = ancestors.filter(|a| !a.as_os_str().is_empty() && !a.exists());
            missing.extend(new.map(Path::to_owned));
        }
        // The deepest first.
        missing.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        missing.dedup();
        Self(missing)
    }
}

impl Drop for RemoveNewDirectories {
    fn drop(&mut self) {
        for directory in &self.0 {
            // Refused if another process has put something in meanwhile, which is right.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

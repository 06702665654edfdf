//! Streams that were recorded from a real service, and files that the official SDK made of the same states.

use std::path::{Path, PathBuf};

/// Where the recordings are: `SEEDBED_RECORDINGS`, or beside the repository. Tests that need them pass without, with a
/// line that says so: `None`.
pub fn recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/recordings");
    let folder = std::env::var_os("SEEDBED_RECORDINGS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no recordings in {}", folder.display());
    None
}

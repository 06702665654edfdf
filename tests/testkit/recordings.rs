//! Streams that were recorded from a real service, and files that the official SDK made of the same states.

use std::path::{Path, PathBuf};

use crate::machine::leave_out;

/// Where the recordings are: `SEEDBED_RECORDINGS`, or next to the repository. Tests that need them pass without, with a
/// line that says so: `None`.
pub fn recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/recordings");
    let folder = std::env::var_os("SEEDBED_RECORDINGS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    leave_out(
        "recordings of a real PowerSync service",
        "SEEDBED_RECORDINGS=FOLDER tests/run.sh local",
    );
    None
}

//! Where the clients' code and its tests find the packages that they import: a copy of both next to `node_modules`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// What is copied: the directories of the repository that the tests use, with the places that they have in it.
const COPIED: [&str; 2] = ["deploy/clients", "tests/client"];

/// The directory with the copies and the packages, which `tests/run.sh` has installed.
pub(super) fn installed() -> &'static Path {
    static WORKSPACE: OnceLock<PathBuf> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the tests are a directory of the repository");
        let workspace = repository.join("target/test-tools/client");
        assert!(
            workspace.join("node_modules").exists(),
            "the packages are not installed; tests/run.sh delivery does it"
        );
        for directory in COPIED {
            let target = workspace.join(directory);
            // What was removed from the repository must not stay here.
            let _ = fs::remove_dir_all(&target);
            copy(&repository.join(directory), &target);
        }
        workspace
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("target is writable");
    for entry in fs::read_dir(from).expect("a directory of the repository") {
        let entry = entry.expect("a directory of the repository");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => {
                fs::copy(&from, &to).expect("target is writable");
            }
        }
    }
}

//! The client packages where they find what they import: a copy of them next to `node_modules`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::tools::tools;

/// What is copied: the directories of the repository that the tests use, with the places that they have in it.
const COPIED: [&str; 4] = [
    "deploy/clients",
    "tests/client",
    "tests/clients",
    "tests/bench/first_launch",
];

/// The directory with the copies and the packages, which `tests/run.sh` has installed.
///
/// # Panics
/// When they are not.
pub fn client_packages() -> &'static Path {
    static WORKSPACE: OnceLock<PathBuf> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let repository = repository();
        let workspace = tools("client");
        assert!(
            workspace.join("node_modules").exists(),
            "the packages are not installed; tests/run.sh first_launch does it"
        );
        for directory in COPIED {
            let target = workspace.join(directory);
            // What was removed from the repository must not stay here.
            let _ = fs::remove_dir_all(&target);
            copy(&repository.join(directory), &target);
        }
        // As npm does with the `file:` dependency of the packages.
        for (name, package) in [("core", "core-js"), ("web", "web")] {
            let link = workspace.join(format!("node_modules/seedbed-client-{name}"));
            let _ = fs::remove_file(&link);
            symlink(format!("../deploy/clients/{package}"), &link).expect("target is writable");
        }
        workspace
    })
}

/// Compares the types that were just made of a package's copy with those of the package, which apps get.
///
/// # Panics
/// When they differ.
pub fn assert_same_types(package: &str) {
    let made = client_packages().join(package).join("types");
    for entry in fs::read_dir(&made).expect("they were made") {
        let name = entry.expect("a file").file_name();
        let read = |directory: &Path| fs::read_to_string(directory.join(&name)).unwrap_or_default();
        assert_eq!(
            read(&repository().join(package).join("types")),
            read(&made),
            "{package}/types/{} is out of date: tsc --project {package}",
            name.display()
        );
    }
}

fn repository() -> &'static Path {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    repository.expect("the tests are a directory of the repository")
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

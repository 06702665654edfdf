//! A small file system of a test's own, for full and read-only disks. Needs to be root.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use super::tools::leave_out;

/// A tmpfs; unmounted when it is dropped.
#[derive(Debug)]
pub struct Tmpfs(TempDir);

impl Tmpfs {
    /// Mounts one with these options, such as `size=3m`; `None`, and a line that says so, where this process
    /// may not mount.
    pub fn mount(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mounted = run(
            &["mount", "-t", "tmpfs", "-o", options, "tmpfs"],
            directory.path(),
        );
        if !mounted {
            leave_out(
                "full and read-only disks",
                "run as root, which may mount a tmpfs",
            );
            return None;
        }
        Some(Self(directory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Mounts it again with `ro` or `rw`.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn remount(&self, mode: &str) {
        let options = format!("remount,{mode}");
        assert!(
            run(&["mount", "-o", &options], self.path()),
            "cannot remount {}",
            self.path().display()
        );
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a database thread of an abandoned job may still hold a file in it.
        run(&["umount", "--lazy"], self.0.path());
    }
}

fn run(command: &[&str], path: &Path) -> bool {
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(path)
        .output();
    output.is_ok_and(|output| output.status.success())
}

//! The disk that a device needs while it launches: what is looked at every few milliseconds, from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const BETWEEN: Duration = Duration::from_millis(20);

/// The most bytes at one moment.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Disk {
    /// Of the device's directory, and of temporary files.
    pub(crate) all: u64,
    /// Of files without a name that the process has open: SQLite sorts in such ones.
    pub(crate) temporary: u64,
}

/// Looks at a process and at its directory until it is told to end.
pub(crate) struct Watch {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Disk>,
}

impl Watch {
    pub(crate) fn start(process: u32, directory: &Path) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (end, directory) = (ended.clone(), directory.to_owned());
        let thread = thread::spawn(move || {
            let open = PathBuf::from(format!("/proc/{process}/fd"));
            let mut most = Disk::default();
            while !end.load(Ordering::Relaxed) {
                let temporary = unnamed(&open);
                most.temporary = most.temporary.max(temporary);
                most.all = most.all.max(temporary + named(&directory));
                thread::sleep(BETWEEN);
            }
            most
        });
        Self { ended, thread }
    }

    pub(crate) fn end(self) -> Disk {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Files that go away while they are counted count as nothing.
fn unnamed(open: &Path) -> u64 {
    let files = fs::read_dir(open).into_iter().flatten().flatten();
    let removed = files.filter(|file| {
        let target = fs::read_link(file.path()).unwrap_or_default();
        target.to_string_lossy().ends_with(" (deleted)")
    });
    removed
        .filter_map(|file| fs::metadata(file.path()).ok())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

fn named(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => named(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

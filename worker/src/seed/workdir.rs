//! The directories in which jobs keep their files while they run.
//!
//! ```text
//! worker.directory/
//!   process-<id>/                 one for each running process, locked as long as it runs
//!     lock
//!     buckets/                    its bucket cache, as soon as it keeps something
//!     <job>-<attempt>-<random>/   removed when the delivery ends, in any way
//! ```
//!
//! A killed process leaves its directory without the lock; the next process that starts removes it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use seedbed_protocol::{Attempt, JobId};
use uuid::Uuid;

const PREFIX: &str = "process-";
const STARTING_PREFIX: &str = "starting-";
const LOCK: &str = "lock";
const BUCKETS: &str = "buckets";

/// A process that has not locked its directory after so long was killed before it could.
const STARTING_TAKES_AT_MOST: Duration = Duration::from_secs(3600);

/// Why `worker.directory` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("worker.directory: cannot {action} {}: {source}", path.display())]
pub struct WorkDirectoryError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl WorkDirectoryError {
    /// Returns whether another attempt could help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// Returns how many bytes are free where `directory` is, or would be made.
///
/// # Errors
/// When the file system does not say.
pub fn available_space(directory: &Path) -> io::Result<u64> {
    let there = directory.ancestors().find(|path| path.exists());
    fs4::available_space(there.unwrap_or(Path::new(".")))
}

/// The directory of this process.
#[derive(Debug, Clone)]
pub(super) struct WorkDirectory(Arc<ProcessDirectory>);

#[derive(Debug)]
struct ProcessDirectory {
    path: PathBuf,
    /// Keeps the directory locked as long as the process runs.
    _lock: File,
}

impl WorkDirectory {
    /// Removes the directories that killed processes left below `root`, and makes one for this process.
    ///
    /// # Errors
    /// [`WorkDirectoryError`] when `root` cannot be written to.
    pub(super) fn open(root: &Path) -> Result<Self, WorkDirectoryError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| WorkDirectoryError {
                action,
                path,
                source,
            }
        };
        fs::create_dir_all(root).map_err(failed("create", root))?;
        sweep(root).map_err(failed("sweep", root))?;
        let id = Uuid::now_v7();
        // Locked before it has the name that a sweep looks for.
        let starting = root.join(format!("{STARTING_PREFIX}{id}"));
        fs::create_dir(&starting).map_err(failed("create", &starting))?;
        let lock = File::create(starting.join(LOCK)).map_err(failed("lock", &starting))?;
        lock.lock().map_err(failed("lock", &starting))?;
        let path = root.join(format!("{PREFIX}{id}"));
        fs::rename(&starting, &path).map_err(failed("create", &path))?;
        Ok(Self(Arc::new(ProcessDirectory { path, _lock: lock })))
    }

    /// Returns where the bucket cache of this process is, if it keeps anything.
    pub(super) fn buckets(&self) -> PathBuf {
        self.0.path.join(BUCKETS)
    }

    /// Makes a directory for one delivery of one attempt: after a lost connection, the same attempt may be delivered
    /// again while its first delivery is still in work.
    ///
    /// # Errors
    /// [`WorkDirectoryError`] when the directory cannot be made.
    pub(super) fn job(
        &self,
        job_id: JobId,
        attempt: Attempt,
    ) -> Result<JobDirectory, WorkDirectoryError> {
        let name = format!("{job_id}-{attempt}-{}", Uuid::new_v4().simple());
        let path = self.0.path.join(name);
        fs::create_dir(&path).map_err(|source| WorkDirectoryError {
            action: "create",
            path: path.clone(),
            source,
        })?;
        Ok(JobDirectory {
            path,
            _process: self.0.clone(),
        })
    }
}

impl Drop for ProcessDirectory {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The directory of one delivery; removed when this is dropped.
#[derive(Debug)]
pub(super) struct JobDirectory {
    path: PathBuf,
    _process: Arc<ProcessDirectory>,
}

impl JobDirectory {
    /// Returns the path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for JobDirectory {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(
            "cannot remove {}: {error}; the next start tries again",
            path.display()
        );
    }
}

/// Removes the directories of processes that have ended. Another process may do the same at the same time.
fn sweep(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if is_abandoned(&path).or_else(gone)? {
            tracing::info!("removing what a killed process left in {}", path.display());
            fs::remove_dir_all(&path).or_else(gone)?;
        }
    }
    Ok(())
}

/// Ignores that something is already gone.
fn gone<T: Default>(error: io::Error) -> io::Result<T> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(T::default())
    } else {
        Err(error)
    }
}

fn is_abandoned(directory: &Path) -> io::Result<bool> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(STARTING_PREFIX) {
        let age = fs::metadata(directory)?
            .modified()?
            .elapsed()
            .unwrap_or_default();
        return Ok(age > STARTING_TAKES_AT_MOST);
    }
    if !name.starts_with(PREFIX) {
        return Ok(false);
    }
    match File::open(directory.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        },
        // A process was killed while it removed this directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_share_no_directory_and_each_is_gone_at_the_end() {
        let root = tempfile::tempdir().unwrap();
        let work = WorkDirectory::open(root.path()).unwrap();
        let job_id = JobId::new();
        let job = work.job(job_id, Attempt::FIRST).unwrap();
        // The same attempt again, while the first delivery of it is still worked on.
        let again = work.job(job_id, Attempt::FIRST).unwrap();
        let (file, other) = (job.file("sync.sqlite"), again.file("sync.sqlite"));
        fs::write(&file, "x").unwrap();
        assert!(!other.exists());
        fs::write(&other, "y").unwrap();
        drop(job);
        assert!(!file.exists() && other.exists());
        drop(again);
        drop(work);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_are_swept_and_living_processes_are_spared() {
        let root = tempfile::tempdir().unwrap();
        let alive = WorkDirectory::open(root.path()).unwrap();
        let job = alive.job(JobId::new(), Attempt::FIRST).unwrap();
        let dead = root.path().join("process-of-the-past");
        fs::create_dir_all(dead.join("job-1")).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(root.path().join("someone-elses-file"), "x").unwrap();

        let _next = WorkDirectory::open(root.path()).unwrap();
        assert!(!dead.exists());
        assert!(job.file("").exists());
        assert!(root.path().join("someone-elses-file").exists());
    }

    #[test]
    fn an_unusable_directory_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = WorkDirectory::open(&file.join("below"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("worker.directory") && error.contains("below"),
            "{error}"
        );
    }
}

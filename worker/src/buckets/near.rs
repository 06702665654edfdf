//! The near level: the entries that this worker has on disk, within a number of bytes.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use seedbed_protocol::digest::Hashed;
use uuid::Uuid;

use super::entry::Entry;

/// A file of the cache; removed when nobody reads it any more.
#[derive(Debug)]
pub(super) struct CachedFile(PathBuf);

impl CachedFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        // What is left goes with the directory of the process.
        let _ = fs::remove_file(&self.0);
    }
}

/// An entry, and its lines if they are on this disk.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) file: Option<Arc<CachedFile>>,
    /// When it was last used, by a counter.
    used: u64,
}

/// The entries that this worker knows, by bucket.
#[derive(Debug)]
pub(super) struct Near {
    directory: PathBuf,
    most_bytes: u64,
    /// What others keep in the directory, in bytes.
    others: u64,
    kept: HashMap<String, Kept>,
    uses: u64,
}

impl Near {
    /// Keeps at most so many bytes of lines in `directory`, which is made when it is needed.
    pub(super) fn new(directory: PathBuf, most_bytes: u64) -> Self {
        Self {
            directory,
            most_bytes,
            others: 0,
            kept: HashMap::new(),
            uses: 0,
        }
    }

    /// Returns the name of a new file, which ends so.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub(super) fn new_file(&self, ending: &str) -> io::Result<CachedFile> {
        fs::create_dir_all(&self.directory)?;
        let name = format!("{}.{ending}", Uuid::new_v4().simple());
        Ok(CachedFile(self.directory.join(name)))
    }

    pub(super) fn get(&mut self, bucket: &str) -> Option<Kept> {
        self.uses += 1;
        let kept = self.kept.get_mut(bucket)?;
        kept.used = self.uses;
        Some(kept.clone())
    }

    /// Returns an entry without using it.
    pub(super) fn peek(&self, bucket: &str) -> Option<Kept> {
        self.kept.get(bucket).cloned()
    }

    /// Returns the `most` entries that were used last.
    pub(super) fn latest(&self, most: usize) -> Vec<Kept> {
        let mut kept: Vec<&Kept> = self.kept.values().collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
        kept.into_iter().take(most).cloned().collect()
    }

    /// Adds an entry or replaces an older one of its bucket, and makes room for its lines. Files that are being read stay
    /// until that ends.
    pub(super) fn insert(&mut self, entry: Entry, file: Option<Arc<CachedFile>>) {
        self.uses += 1;
        let kept = Kept {
            entry,
            file,
            used: self.uses,
        };
        self.kept.insert(kept.entry.bucket.clone(), kept);
        self.make_room();
    }

    /// Leaves room for so many bytes that others keep in the directory.
    pub(super) fn leave_room(&mut self, others: u64) {
        self.others = others;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes() + self.others > self.most_bytes {
            let on_disk = self.kept.values_mut().filter(|kept| kept.file.is_some());
            let Some(oldest) = on_disk.min_by_key(|kept| kept.used) else {
                return;
            };
            oldest.file = None;
            if oldest.entry.stored.is_none() {
                let bucket = oldest.entry.bucket.clone();
                self.kept.remove(&bucket);
            }
        }
    }

    pub(super) fn remove(&mut self, bucket: &str) -> Option<Kept> {
        self.kept.remove(bucket)
    }

    /// Forgets what `is_gone` says.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&Entry) -> bool) {
        self.kept.retain(|_, kept| !is_gone(&kept.entry));
    }

    fn bytes(&self) -> u64 {
        let on_disk = self.kept.values().filter(|kept| kept.file.is_some());
        on_disk.map(|kept| kept.entry.content.bytes).sum()
    }
}

/// Returns whether a file holds the lines of an entry. Blocks.
pub(super) fn holds(file: &CachedFile, entry: &Entry) -> bool {
    let hashed = File::open(file.path()).and_then(Hashed::of);
    hashed.is_ok_and(|hashed| hashed == entry.content)
}

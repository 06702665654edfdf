//! The keys of a snapshot's objects, which no other delivery of its job can write to.

use std::fmt::{self, Write as _};

use uuid::Uuid;

use crate::{
    digest::sha256_hex,
    ids::{Attempt, JobId, StoreId},
    manifest::{Encoding, Form, Manifest, Rendition, RenditionKind},
};

/// The longest escaped store id in a key. Longer ones are cut and get a hash, since many file systems allow only 255
/// bytes in a name.
const MAX_ESCAPED_CHARS: usize = 120;

/// The directory with the newest snapshot of each store. No store's own directory has this name.
const LATEST: &str = "latest";

/// What all objects of one snapshot have in common: `<escaped store id>/<job>-<attempt>-<8 hex digits>`.
///
/// The random digits keep two deliveries of one attempt apart: the broker delivers at least once, and may give a job to
/// another worker while the first one still uploads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SnapshotName {
    directory: String,
    job_id: JobId,
    attempt: Attempt,
    nonce: u32,
}

/// One of a snapshot's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotPart {
    /// The rendition of this kind.
    Rendition(RenditionKind),
    Manifest,
}

impl SnapshotPart {
    /// Returns every part, the manifest last.
    pub fn all() -> impl Iterator<Item = Self> {
        let renditions = RenditionKind::all().map(Self::Rendition);
        renditions.chain([Self::Manifest])
    }

    /// Returns how its key ends, from the first dot.
    fn extension(self) -> String {
        let Self::Rendition(RenditionKind { form, encoding }) = self else {
            return ".json".to_owned();
        };
        let form = match form {
            Form::File => ".sqlite",
            Form::Compact => ".compact.sqlite",
            Form::Stream => ".ndjson",
            Form::StreamBson => ".bson",
        };
        let encoding = match encoding {
            Encoding::Identity => "",
            Encoding::Gzip => ".gz",
            Encoding::Zstd => ".zst",
            Encoding::Sqlcipher4 => ".sqlcipher4",
            Encoding::Chacha20 => ".chacha20",
        };
        format!("{form}{encoding}")
    }
}

impl SnapshotName {
    /// Returns a name that no snapshot has yet.
    pub fn new(store_id: &StoreId, job_id: JobId, attempt: Attempt) -> Self {
        Self {
            directory: directory_of(store_id),
            job_id,
            attempt,
            nonce: Uuid::new_v4().as_fields().0,
        }
    }

    /// Returns the snapshot that the object `key` belongs to, and which part it is; `None` for any other object.
    pub fn of_key(key: &str) -> Option<(Self, SnapshotPart)> {
        let (directory, file) = key.split_once('/')?;
        // No id and no number has a dot.
        let (stem, extension) = file.split_at(file.find('.')?);
        let part = SnapshotPart::all().find(|part| part.extension() == extension)?;
        let mut fields = stem.rsplitn(3, '-');
        let (nonce, attempt, job_id) = (fields.next()?, fields.next()?, fields.next()?);
        let name = Self {
            directory: directory.to_owned(),
            job_id: job_id.parse().ok()?,
            attempt: Attempt::new(attempt.parse().ok()?)?,
            nonce: u32::from_str_radix(nonce, 16).ok()?,
        };
        // Ids and numbers can be spelled in several ways; a key is spelled in one.
        (directory != LATEST && name.key(part) == key).then_some((name, part))
    }

    /// Returns the key of one of its objects, below the snapshot URL.
    pub fn key(&self, part: SnapshotPart) -> String {
        format!("{self}{}", part.extension())
    }

    /// Returns whether `manifest`, which was found under this name, is of this store, job and attempt, and names no other snapshot's
    /// objects.
    pub fn is_of(&self, manifest: &Manifest) -> bool {
        let is_own = |rendition: &Rendition| {
            rendition.key == self.key(SnapshotPart::Rendition(rendition.kind()))
        };
        self.directory == directory_of(&manifest.store_id)
            && (self.job_id, self.attempt) == (manifest.job_id, manifest.attempt)
            && manifest.all_renditions().all(is_own)
    }

    /// Returns whether both are snapshots of one store.
    pub fn same_store(&self, other: &Self) -> bool {
        self.directory == other.directory
    }

    /// Returns the job that made it.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Returns the attempt that made it.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            directory,
            job_id,
            attempt,
            nonce,
        } = self;
        write!(f, "{directory}/{job_id}-{attempt}-{nonce:08x}")
    }
}

/// Returns the keys of all objects of a snapshot, the manifest first: once that is gone, nothing refers to the others.
pub fn keys_of(manifest: &Manifest) -> Vec<String> {
    let files = manifest.all_renditions().map(|r| r.key.clone());
    let of_manifest = manifest_key(manifest.all_renditions());
    of_manifest.into_iter().chain(files).collect()
}

/// Returns the key of the manifest that is next to these files of a snapshot.
pub fn manifest_key<'a>(renditions: impl IntoIterator<Item = &'a Rendition>) -> Option<String> {
    let renditions = renditions.into_iter();
    let mut names = renditions.filter_map(|r| SnapshotName::of_key(&r.key));
    names
        .next()
        .map(|(name, _)| name.key(SnapshotPart::Manifest))
}

/// Returns the directory of the copies of a store's newest snapshot, and how the names of all of them begin.
pub(super) fn latest_start(store_id: &StoreId) -> (&'static str, String) {
    // No escaped id has a dot.
    (LATEST, format!("{}.", escape(store_id)))
}

/// Returns the key of the copy of a store's newest snapshot: `latest/<escaped store id>.sqlite` and the like.
pub fn latest_key(store_id: &StoreId, part: SnapshotPart) -> String {
    format!("{LATEST}/{}{}", escape(store_id), part.extension())
}

/// Returns the directory of a store's snapshots, below the snapshot URL.
pub(super) fn directory_of(store_id: &StoreId) -> String {
    match escape(store_id) {
        // A store may have this id. No other id is escaped to this text.
        escaped if escaped == LATEST => format!("_{:02x}{}", LATEST.as_bytes()[0], &LATEST[1..]),
        escaped => escaped,
    }
}

/// Returns a store id as one segment of a key that no object storage, file system or URL treats specially: lowercase
/// letters, digits and `-` stay, every other byte becomes `_` and two hex digits. Uppercase letters do not stay because
/// some file systems do not distinguish them from lowercase ones.
fn escape(store_id: &StoreId) -> String {
    let mut escaped = String::new();
    for byte in store_id.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => escaped.push(byte.into()),
            other => {
                let _ = write!(escaped, "_{other:02x}");
            }
        }
    }
    if escaped.len() > MAX_ESCAPED_CHARS {
        let hash = sha256_hex(store_id.as_str());
        escaped.truncate(MAX_ESCAPED_CHARS - 1 - hash.len());
        escaped.push('_');
        escaped.push_str(&hash);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(id: &str) -> StoreId {
        StoreId::new(id).unwrap()
    }

    fn directory(id: &str) -> String {
        directory_of(&store(id))
    }

    #[test]
    fn keys_stay_readable_and_never_collide() {
        assert_eq!(directory("store-7"), "store-7");
        assert_eq!(directory("a_b"), "a_5fb");
        assert_eq!(directory("Ab"), "_41b");
        assert_eq!(directory("a b.ü"), "a_20b_2e_c3_bc");
        assert_ne!(directory("a b"), directory("a_20b"));
        assert_eq!(directory("latest"), "_6catest");
    }

    #[test]
    fn keys_of_long_ids_fit_into_a_file_name() {
        let long = "😀".repeat(60);
        let longer = format!("{long}😀");
        assert!(directory(&long).len() <= MAX_ESCAPED_CHARS);
        assert_ne!(directory(&long), directory(&longer));
    }

    #[test]
    fn a_key_tells_its_snapshot_and_two_deliveries_of_one_attempt_differ() {
        let job = JobId::new();
        let name = SnapshotName::new(&store("7"), job, Attempt::FIRST);
        assert_ne!(name, SnapshotName::new(&store("7"), job, Attempt::FIRST));
        for part in SnapshotPart::all() {
            let known = SnapshotName::of_key(&name.key(part));
            assert_eq!(known, Some((name.clone(), part)));
        }
        for other in [
            format!("{name}"),
            format!("{name}.txt"),
            format!("7/{job}-0-0000000a.json"),
            format!("7/{job}-1-a.json"),
            format!("7/{job}-1.sqlite"),
            format!("latest/{job}-1-0000000a.json"),
            latest_key(&store("7"), SnapshotPart::Manifest),
        ] {
            assert_eq!(SnapshotName::of_key(&other), None, "{other}");
        }
    }
}

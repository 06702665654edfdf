//! Removes what the shared level of the cache needs no more.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{TryStreamExt, stream};
use seedbed_protocol::{
    objects::{StorageError, StoredObject},
    snapshots::SnapshotRepository,
};
use serde::Serialize;

use super::{
    entry::Entry,
    shared::{DIRECTORY, ENTRY, LINES},
};

/// What is kept of the bucket cache.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Entries are kept for so long.
    pub age: Duration,
    /// So many bytes are kept, the newest first.
    pub bytes: u64,
    /// What no entry names is kept for so long: it may be about to be named, or still be read.
    pub unnamed: Duration,
}

/// Counts of what was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CollectedBuckets {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An entry, and the object with its lines, if that is there.
struct Found {
    object: StoredObject,
    lines: Option<StoredObject>,
    service: String,
    /// The number of the sync config that named its bucket.
    generation: Option<u64>,
}

/// Removes entries that are too old, of an older generation than another one of the same service, or too many, and objects
/// that no entry names; with `dry_run`, only counts them. Removes nothing that is not below `_buckets/`.
///
/// # Errors
/// [`StorageError`]; calling again continues.
pub async fn collect(
    objects: &SnapshotRepository,
    keep: Keep,
    now: DateTime<Utc>,
    dry_run: bool,
) -> Result<CollectedBuckets, StorageError> {
    let listed: Vec<StoredObject> = (**objects).list(Some(DIRECTORY)).try_collect().await?;
    let older = |object: &StoredObject, age: Duration| {
        (now - object.last_modified)
            .to_std()
            .is_ok_and(|is| is > age)
    };
    let Read {
        mut entries,
        unreadable: mut gone,
        unnamed,
    } = read(objects, listed).await?;
    let mut newest: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for entry in &entries {
        let generation = newest.entry(entry.service.clone()).or_default();
        *generation = (*generation).max(entry.generation);
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.object.last_modified));
    let mut bytes = 0;
    for entry in entries {
        let is_of_old_generation =
            newest[&entry.service] > entry.generation && older(&entry.object, keep.unnamed);
        let of_lines = entry.lines.as_ref().map_or(0, |lines| lines.bytes);
        if is_of_old_generation
            || older(&entry.object, keep.age)
            || entry.lines.is_none()
            || bytes + of_lines > keep.bytes
        {
            gone.push(entry.object);
            gone.extend(entry.lines);
        } else {
            bytes += of_lines;
        }
    }
    let old = unnamed
        .into_iter()
        .filter(|object| older(object, keep.unnamed));
    gone.extend(old);
    let collected = CollectedBuckets {
        objects: gone.len() as u64,
        bytes: gone.iter().map(|object| object.bytes).sum(),
    };
    if !dry_run && !gone.is_empty() {
        // The entries first: then nothing names the lines.
        gone.sort_by_key(|object| object.key.ends_with(LINES));
        let keys: Vec<String> = gone.into_iter().map(|object| object.key).collect();
        objects.delete(stream::iter(keys)).await?;
    }
    Ok(collected)
}

/// What is below `_buckets/`.
struct Read {
    entries: Vec<Found>,
    unreadable: Vec<StoredObject>,
    /// Lines that no entry names, and leases.
    unnamed: Vec<StoredObject>,
}

/// Reads the entries among the objects of the cache.
async fn read(
    objects: &SnapshotRepository,
    listed: Vec<StoredObject>,
) -> Result<Read, StorageError> {
    let (of_entries, others): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .partition(|object| object.key.ends_with(ENTRY));
    let mut others: HashMap<String, StoredObject> = others
        .into_iter()
        .map(|object| (object.key.clone(), object))
        .collect();
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    for object in of_entries {
        let json = objects.read_version(&object.key).await?;
        let entry = json.and_then(|(json, _)| serde_json::from_slice::<Entry>(&json).ok());
        let Some(entry) = entry else {
            unreadable.push(object);
            continue;
        };
        let lines = entry.stored.and_then(|named| others.remove(&named.key));
        let (service, _) = object.key.rsplit_once('/').unwrap_or_default();
        let number = entry.bucket.split_once('#');
        entries.push(Found {
            lines,
            service: service.to_owned(),
            generation: number.and_then(|(number, _)| number.parse().ok()),
            object,
        });
    }
    Ok(Read {
        entries,
        unreadable,
        unnamed: others.into_values().collect(),
    })
}

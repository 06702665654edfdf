//! Removes what the shared level of the cache needs no more.

use std::{
    collections::{BTreeMap, HashSet},
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
    let (entries, mut rest): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .partition(|object| object.key.ends_with(ENTRY));
    let mut found = Vec::new();
    let mut gone = Vec::new();
    for object in entries {
        let json = objects.read_version(&object.key).await?;
        let entry = json.and_then(|(json, _)| serde_json::from_slice::<Entry>(&json).ok());
        let Some(entry) = entry else {
            gone.push(object);
            continue;
        };
        let named = entry.stored.as_ref();
        let place = named.and_then(|named| rest.iter().position(|object| object.key == named.key));
        found.push(Found {
            lines: place.map(|place| rest.swap_remove(place)),
            service: object
                .key
                .rsplit_once('/')
                .map_or("", |(service, _)| service)
                .to_owned(),
            generation: entry
                .bucket
                .split_once('#')
                .and_then(|(number, _)| number.parse().ok()),
            object,
        });
    }
    let mut newest: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for entry in &found {
        let generation = newest.entry(entry.service.clone()).or_default();
        *generation = (*generation).max(entry.generation);
    }
    found.sort_by_key(|entry| std::cmp::Reverse(entry.object.last_modified));
    let mut bytes = 0;
    for entry in found {
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
    let is_named_in_time = |object: &StoredObject| !older(object, keep.unnamed);
    gone.extend(rest.into_iter().filter(|object| !is_named_in_time(object)));
    let collected = CollectedBuckets {
        objects: gone.len() as u64,
        bytes: gone.iter().map(|object| object.bytes).sum(),
    };
    if !dry_run && !gone.is_empty() {
        // The entries first: then nothing names the lines.
        let (lines, entries): (HashSet<String>, HashSet<String>) = gone
            .into_iter()
            .map(|object| object.key)
            .partition(|key| key.ends_with(LINES));
        let keys: Vec<String> = entries.into_iter().chain(lines).collect();
        objects.delete(stream::iter(keys)).await?;
    }
    Ok(collected)
}

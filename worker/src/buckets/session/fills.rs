//! The entries that one job writes while its lines arrive.

use std::{collections::HashMap, sync::Arc};

use tracing::debug;

use crate::{
    buckets::{
        cache::{BucketCache, Filler},
        entry::Entry,
        fill::Fill,
        near::{CachedFile, Kept},
    },
    powersync::Line,
};

/// A bucket that is being written.
struct Filling {
    fill: Fill,
    /// Absent for what follows an entry.
    filler: Option<Filler>,
    base: Option<(Entry, Arc<CachedFile>)>,
}

/// The buckets that are being written, by their names.
#[derive(Default)]
pub(super) struct Fills(HashMap<String, Filling>);

impl Fills {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives up all of them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Begins an entry.
    pub(super) fn begin(&mut self, cache: &BucketCache, filler: Filler) {
        match cache.new_file().and_then(Fill::begin) {
            Ok(fill) => {
                let bucket = filler.bucket.clone();
                let filling = Filling {
                    fill,
                    filler: Some(filler),
                    base: None,
                };
                self.0.insert(bucket, filling);
            }
            Err(error) => debug!("cannot fill the bucket cache: {error}"),
        }
    }

    /// Begins what follows an entry whose lines are here.
    pub(super) fn follow(&mut self, cache: &BucketCache, Kept { entry, file, .. }: Kept) {
        let Some(file) = file else {
            return;
        };
        let following = cache.new_file();
        if let Ok(fill) = following.and_then(|following| Fill::following(following, &entry)) {
            let bucket = entry.bucket.clone();
            let filling = Filling {
                fill,
                filler: None,
                base: Some((entry, file)),
            };
            self.0.insert(bucket, filling);
        }
    }

    /// Adds a line to what is written of its bucket.
    pub(super) fn add(&mut self, bucket: &str, line: &Line) {
        if let Some(filling) = self.0.get_mut(bucket)
            && !filling.fill.add(line).unwrap_or(false)
        {
            self.0.remove(bucket);
        }
    }

    /// Keeps what was written: the checkpoint was applied, so its checksums are right.
    pub(super) fn keep(&mut self, cache: &Arc<BucketCache>) {
        for (bucket, Filling { fill, filler, base }) in self.0.drain() {
            let Some((entry, file)) = base else {
                match fill.finish() {
                    Ok(Some(filled)) => cache.keep(&bucket, filled, filler),
                    Ok(None) => {}
                    Err(error) => debug!("cannot fill the bucket cache: {error}"),
                }
                continue;
            };
            let Ok(whole) = cache.new_file() else {
                continue;
            };
            let keeping = cache.clone();
            cache.spawn(async move {
                let joining =
                    tokio::task::spawn_blocking(move || fill.joined(&entry, &file, whole));
                if let Ok(Ok(Some(filled))) = joining.await {
                    keeping.keep(&bucket, filled, None);
                }
            });
        }
    }
}

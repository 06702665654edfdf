//! The buckets of a first checkpoint, whose state goes to `ps_buckets` when SQLite owns the file.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::oplog::{
    checkpoint::TargetCheckpoint,
    engine::sums::{self, Progress, Sums},
    operations::Batch,
    sqlite::DatabaseError,
};

/// Buckets by their names.
#[derive(Default)]
pub(super) struct Buckets {
    by_name: HashMap<String, Bucket>,
    /// The names in the order of the ids, which begin with 1.
    names: Vec<String>,
}

/// A bucket that is being loaded.
#[derive(Default)]
pub(super) struct Bucket {
    pub(super) id: u32,
    /// Whether it has had a PUT.
    pub(super) is_filled: bool,
    /// The sum of the checksums of all of its operations.
    checksum: u32,
    /// What `ps_buckets` does not have yet.
    new: Progress,
    /// Whether its row is not there yet.
    is_new: bool,
}

impl Buckets {
    pub(super) fn get(&self, name: &str) -> Option<&Bucket> {
        self.by_name.get(name)
    }

    /// Returns whether the target has all of them.
    pub(super) fn are_in(&self, target: &TargetCheckpoint) -> bool {
        self.names.iter().all(|name| target.has_bucket(name))
    }

    /// Returns a bucket, a new one if there is none.
    pub(super) fn entry(&mut self, name: &str) -> &mut Bucket {
        if !self.by_name.contains_key(name) {
            self.names.push(name.to_owned());
            let bucket = Bucket {
                id: self.names.len() as u32,
                is_new: true,
                ..Bucket::default()
            };
            self.by_name.insert(name.to_owned(), bucket);
        }
        self.by_name.get_mut(name).expect("it was just inserted")
    }

    /// Moves the checksum of an operation from those that are kept to those that are superseded.
    pub(super) fn supersede(&mut self, bucket: u32, checksum: u32) {
        let name = &self.names[bucket as usize - 1];
        if let Some(bucket) = self.by_name.get_mut(name) {
            bucket.new.sums.supersede(checksum);
        }
    }

    /// Returns whether the checksum of what was loaded is the service's, in every bucket up to this priority number.
    pub(super) fn match_target(&self, target: &TargetCheckpoint, priority: Option<u8>) -> bool {
        target.checksums(priority).all(|(name, checksum)| {
            let found = self.get(name).map_or(0, |bucket| bucket.checksum);
            found == checksum
        })
    }

    /// Writes to `ps_buckets` what it does not have yet.
    pub(super) fn record(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        for name in &self.names {
            let Some(bucket) = self.by_name.get_mut(name) else {
                continue;
            };
            if std::mem::take(&mut bucket.is_new) {
                let insert = "INSERT INTO ps_buckets(id, name) VALUES (?1, ?2)";
                let mut insert = connection.prepare_cached(insert)?;
                insert.execute((bucket.id, name))?;
            }
            sums::record(
                connection,
                bucket.id.into(),
                &std::mem::take(&mut bucket.new),
            )?;
        }
        Ok(())
    }
}

impl Bucket {
    /// Counts an operation that is in `ps_oplog` now.
    pub(super) fn keep(&mut self, checksum: u32) {
        self.is_filled = true;
        self.checksum = self.checksum.wrapping_add(checksum);
        self.new.sums.keep(checksum);
    }

    /// Counts an operation that is not in `ps_oplog`.
    pub(super) fn pass(&mut self, checksum: u32) {
        self.checksum = self.checksum.wrapping_add(checksum);
        self.new.sums.pass(checksum);
    }

    /// Counts an operation that empties it; it has no rows.
    pub(super) fn clear(&mut self, checksum: u32) {
        self.checksum = checksum;
        self.new.is_cleared = true;
        self.new.sums = Sums {
            superseded: checksum,
            kept: 0,
        };
    }

    /// Counts a line of so many bytes.
    pub(super) fn came_as_far(&mut self, batch: &Batch, bytes: usize) {
        self.new.count(batch, bytes);
    }
}

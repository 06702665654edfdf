//! The buckets of a first checkpoint, whose state goes to `ps_buckets` when SQLite owns the file.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::oplog::{
    checkpoint::TargetCheckpoint,
    engine::sums::{self, Progress, Sums},
    operations::Batch,
    sqlite::DatabaseError,
};

/// Buckets in the order of their ids, which begin with 1.
#[derive(Default)]
pub(super) struct Buckets {
    all: Vec<Bucket>,
    /// Where each stands, by its name.
    places: HashMap<String, usize>,
    /// How many of them `ps_buckets` has.
    recorded: usize,
}

/// A bucket that is being loaded.
pub(super) struct Bucket {
    pub(super) id: u32,
    name: String,
    /// Whether it has had a PUT.
    pub(super) is_filled: bool,
    /// The sum of the checksums of all of its operations.
    checksum: u32,
    /// What `ps_buckets` does not have yet.
    new: Progress,
}

impl Buckets {
    pub(super) fn get(&self, name: &str) -> Option<&Bucket> {
        self.places.get(name).map(|place| &self.all[*place])
    }

    /// Returns whether the target has all of them.
    pub(super) fn are_in(&self, target: &TargetCheckpoint) -> bool {
        self.all
            .iter()
            .all(|bucket| target.has_bucket(&bucket.name))
    }

    /// Returns a bucket, a new one if there is none.
    pub(super) fn entry(&mut self, name: &str) -> &mut Bucket {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.all.len());
                self.all.push(Bucket {
                    id: self.all.len() as u32 + 1,
                    name: name.to_owned(),
                    is_filled: false,
                    checksum: 0,
                    new: Progress::default(),
                });
                self.all.len() - 1
            }
        };
        &mut self.all[place]
    }

    /// Moves the checksum of an operation from those that are kept to those that are superseded.
    pub(super) fn supersede(&mut self, bucket: u32, checksum: u32) {
        self.all[bucket as usize - 1].new.sums.supersede(checksum);
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
        let insert = "INSERT INTO ps_buckets(id, name) VALUES (?1, ?2)";
        for bucket in &self.all[self.recorded..] {
            let mut insert = connection.prepare_cached(insert)?;
            insert.execute((bucket.id, &bucket.name))?;
        }
        self.recorded = self.all.len();
        for bucket in &mut self.all {
            let new = std::mem::take(&mut bucket.new);
            sums::record(connection, bucket.id.into(), &new)?;
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

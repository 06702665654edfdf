//! Writes the operations of a bucket to a file of the cache as they arrive.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
};

use seedbed_protocol::digest::{Hashed, Hasher};

use super::{
    entry::Entry,
    near::CachedFile,
    operation::{Written, data_line},
};
use crate::oplog::Batch;

/// An entry is written anew when the service has sent one operation in so many of it besides.
const GROWN_BY_ONE_IN: u64 = 20;

/// A bucket whose operations are being written.
pub(super) struct Fill {
    file: CachedFile,
    writer: BufWriter<File>,
    hasher: Hasher,
    /// The last operation that was written.
    after: i64,
    operations: u64,
    /// The last operation that arrived, which proves the entry.
    next: Option<Written>,
}

/// What is known of a written bucket.
pub(super) struct Filled {
    pub(super) file: CachedFile,
    pub(super) position: (i64, String),
    pub(super) operations: u64,
    pub(super) content: Hashed,
}

impl Fill {
    /// Begins with nothing.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn begin(file: CachedFile) -> io::Result<Self> {
        let writer = BufWriter::new(File::create(file.path())?);
        Ok(Self {
            file,
            writer,
            hasher: Hasher::default(),
            after: 0,
            operations: 0,
            next: None,
        })
    }

    /// Adds operations of `bucket`. Returns whether they continue what has arrived.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn add(&mut self, bucket: &str, batch: &Batch) -> io::Result<bool> {
        let last = self.next.as_ref().map_or(self.after, |next| next.op_id);
        let mut operations: Vec<Written> = self.next.take().into_iter().collect();
        operations.extend(
            batch
                .operations
                .iter()
                .map(|operation| Written::of(batch, operation)),
        );
        let ids = batch.operations.iter().map(|operation| operation.op_id);
        if !std::iter::once(last).chain(ids).is_sorted_by(|a, b| a < b) {
            return Ok(false);
        }
        self.next = operations.pop();
        if !operations.is_empty() {
            self.write(&data_line(bucket, self.after, &operations))?;
            self.operations += operations.len() as u64;
            self.after = operations.last().map_or(self.after, |last| last.op_id);
        }
        Ok(true)
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.hasher.update(lines);
        self.writer.write_all(lines)
    }

    /// Ends the file; `None` if it has too little to be of use.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(mut self) -> io::Result<Option<Filled>> {
        self.writer.flush()?;
        let Some(next) = self.next.filter(|_| self.operations > 0) else {
            return Ok(None);
        };
        Ok(Some(Filled {
            file: self.file,
            position: (self.after, next.digest()),
            operations: self.operations,
            content: self.hasher.finish(),
        }))
    }

    /// Begins with what follows an entry.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn following(file: CachedFile, entry: &Entry) -> io::Result<Self> {
        let mut fill = Self::begin(file)?;
        fill.after = entry.after;
        Ok(fill)
    }

    /// Ends the file of what follows `entry`, whose lines are in `base`, and puts both together; `None` if that is not worth
    /// it yet. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(super) fn joined(
        self,
        entry: &Entry,
        base: &CachedFile,
        file: CachedFile,
    ) -> io::Result<Option<Filled>> {
        let Some(tail) = self.finish()? else {
            return Ok(None);
        };
        if tail.operations * GROWN_BY_ONE_IN < entry.operations {
            return Ok(None);
        }
        fs::copy(base.path(), file.path())?;
        let mut whole = File::options().append(true).open(file.path())?;
        io::copy(&mut File::open(tail.file.path())?, &mut whole)?;
        let content = Hashed::of(File::open(file.path())?)?;
        Ok(Some(Filled {
            file,
            operations: entry.operations + tail.operations,
            content,
            ..tail
        }))
    }
}

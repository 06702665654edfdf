//! Writes the operations of a bucket to a file of the cache: the lines of the service as they arrive, since reading and writing
//! each operation again would cost a store whose buckets nobody shares half of its download.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
};

use seedbed_protocol::digest::{Hashed, Hasher};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

use super::{
    entry::Entry,
    near::{CachedFile, holds},
    operation::{Run, Written, data_line},
};
use crate::{
    oplog::ReadLine,
    powersync::{Line, LineFormat},
};

/// Before each line: 0 for BSON or 1 for NDJSON, and its length, little endian.
const HEADER: usize = 5;

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
    /// The line that arrived last: its last operation proves the entry, and is not a part of it.
    pending: Option<(Line, Run)>,
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
            pending: None,
        })
    }

    /// Adds a data line of the bucket. Returns whether it continues what has arrived.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&mut self, line: &Line) -> io::Result<bool> {
        let Some(run) = Run::of(line) else {
            return Ok(false);
        };
        if run.operations == 0 {
            return Ok(true);
        }
        if let Some((pending, its)) = self.pending.take() {
            self.write(&pending)?;
            self.operations += its.operations;
            self.after = its.last;
        }
        let follows = run.first > self.after;
        self.pending = Some((line.clone(), run));
        Ok(follows)
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut header = [0; HEADER];
        header[0] = matches!(line.format, LineFormat::Ndjson).into();
        let length = u32::try_from(line.bytes.len()).map_err(io::Error::other)?;
        header[1..].copy_from_slice(&length.to_le_bytes());
        for piece in [&header, &line.bytes[..]] {
            self.hasher.update(piece);
            self.writer.write_all(piece)?;
        }
        Ok(())
    }

    /// Ends the file; `None` if it has too little to be of use.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(mut self) -> io::Result<Option<Filled>> {
        let Some(next) = self.split_last()? else {
            return Ok(None);
        };
        self.writer.flush()?;
        Ok((self.operations > 0).then(|| Filled {
            file: self.file,
            position: (self.after, next),
            operations: self.operations,
            content: self.hasher.finish(),
        }))
    }

    /// Writes all but the last operation of the line that arrived last, and returns the digest of that one.
    fn split_last(&mut self) -> io::Result<Option<String>> {
        let pending = self.pending.take();
        let read = pending.and_then(|(line, _)| ReadLine::read(line, true).ok()?.batch?.ok());
        let Some(batch) = read else {
            return Ok(None);
        };
        let operations = batch.operations.iter();
        let mut operations: Vec<_> = operations
            .map(|operation| Written::of(&batch, operation))
            .collect();
        let next = operations.pop().map(|last| last.digest());
        if let Some(last) = operations.last() {
            self.write(&data_line(batch.bucket(), self.after, &operations))?;
            self.operations += operations.len() as u64;
            self.after = last.op_id;
        }
        Ok(next)
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
    /// it yet, or `base` was altered. Blocks.
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
        if tail.operations * GROWN_BY_ONE_IN < entry.operations || !holds(base, entry) {
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

/// How much of a filled bucket is read at a time, in bytes.
const READ_BYTES: usize = 1 << 20;

/// Opens the lines of a filled bucket, for [`next_line`].
///
/// # Errors
/// When the file cannot be opened.
pub(super) async fn open_lines(file: &CachedFile) -> io::Result<impl AsyncRead + Unpin> {
    let file = tokio::fs::File::open(file.path()).await?;
    Ok(BufReader::with_capacity(READ_BYTES, file))
}

/// Reads the next line of a filled bucket; `None` at its end.
///
/// # Errors
/// When the file cannot be read, or is none of a bucket.
pub(super) async fn next_line(lines: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Line>> {
    let mut header = [0; HEADER];
    if lines.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    lines.read_exact(&mut header[1..]).await?;
    let [format, length @ ..] = header;
    let length = u32::from_le_bytes(length);
    let mut bytes = Vec::new();
    let mut line = lines.take(length.into());
    if line.read_to_end(&mut bytes).await? < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let format = match format {
        0 => LineFormat::Bson,
        _ => LineFormat::Ndjson,
    };
    Ok(Some(Line {
        format,
        bytes: Bytes::from(bytes),
    }))
}

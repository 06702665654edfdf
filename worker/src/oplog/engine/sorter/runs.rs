//! Sorted entries in a file that has no name.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

const WRITE_BYTES: usize = 256 << 10;

/// Runs of sorted entries, one after the other.
pub(super) struct Runs {
    file: BufWriter<File>,
    /// Where each run ends.
    ends: Vec<u64>,
    written: u64,
}

impl Runs {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(Self {
            file: BufWriter::with_capacity(WRITE_BYTES, file),
            ends: Vec::new(),
            written: 0,
        })
    }

    pub(super) fn write(&mut self, entry: &[u8]) -> io::Result<()> {
        self.file.write_all(&(entry.len() as u32).to_le_bytes())?;
        self.file.write_all(entry)?;
        self.written += 4 + entry.len() as u64;
        Ok(())
    }

    pub(super) fn end_run(&mut self) -> io::Result<()> {
        self.ends.push(self.written);
        self.file.flush()
    }

    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Returns the runs, each read through a buffer of so many bytes.
    pub(super) fn read(self, buffer: usize) -> impl Iterator<Item = BufReader<Run>> {
        let file = Arc::new(self.file.into_parts().0);
        let mut start = 0;
        self.ends.into_iter().map(move |end| {
            let run = Run {
                file: Arc::clone(&file),
                at: start,
                end,
            };
            start = end;
            BufReader::with_capacity(buffer, run)
        })
    }
}

/// A run that is being read.
pub(super) struct Run {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Run {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = to.len().min(left);
        let read = self.file.read_at(&mut to[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

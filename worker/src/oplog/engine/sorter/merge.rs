//! Merges sorted runs.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, binary_heap::PeekMut},
    io::{self, BufReader, ErrorKind, Read},
};

use super::runs::Run;

/// The entries of all runs, in their order.
pub(in super::super) struct Merge {
    runs: BinaryHeap<Cursor>,
    has_begun: bool,
}

impl Merge {
    pub(super) fn of(runs: Vec<Cursor>) -> Self {
        Self {
            runs: runs.into_iter().filter(|run| !run.is_at_end).collect(),
            has_begun: false,
        }
    }

    /// Returns the next entry.
    pub(in super::super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.has_begun
            && let Some(mut first) = self.runs.peek_mut()
        {
            first.advance()?;
            if first.is_at_end {
                PeekMut::pop(first);
            }
        }
        self.has_begun = true;
        Ok(self.runs.peek().map(Cursor::entry))
    }
}

/// A place in a run.
pub(super) struct Cursor {
    source: Source,
    is_at_end: bool,
}

enum Source {
    Memory {
        run: Vec<u8>,
        /// Where the entry begins and ends.
        entry: (usize, usize),
    },
    File {
        run: BufReader<Run>,
        entry: Vec<u8>,
    },
}

impl Cursor {
    /// Stands at the first entry of a run in memory.
    pub(super) fn of_memory(run: Vec<u8>) -> io::Result<Self> {
        Self::at_start(Source::Memory { run, entry: (0, 0) })
    }

    /// Stands at the first entry of a run in a file.
    pub(super) fn of_file(run: BufReader<Run>) -> io::Result<Self> {
        let entry = Vec::new();
        Self::at_start(Source::File { run, entry })
    }

    fn at_start(source: Source) -> io::Result<Self> {
        let is_at_end = false;
        let mut cursor = Self { source, is_at_end };
        cursor.advance()?;
        Ok(cursor)
    }

    fn entry(&self) -> &[u8] {
        match &self.source {
            Source::Memory { run, entry } => &run[entry.0..entry.1],
            Source::File { entry, .. } => entry,
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        match &mut self.source {
            Source::Memory { run, entry } => match run[entry.1..].first_chunk() {
                Some(length) => {
                    let start = entry.1 + length.len();
                    *entry = (start, start + u32::from_le_bytes(*length) as usize);
                }
                None => self.is_at_end = true,
            },
            Source::File { run, entry } => {
                let mut length = [0; 4];
                match run.read_exact(&mut length) {
                    Ok(()) => {
                        entry.resize(u32::from_le_bytes(length) as usize, 0);
                        run.read_exact(entry)?;
                    }
                    Err(end) if end.kind() == ErrorKind::UnexpectedEof => self.is_at_end = true,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// The run with the smallest entry is the greatest one, which a heap has on top.
impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        other.entry().cmp(self.entry())
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor {}

//! Sorts entries by their bytes, within a budget of memory.
//!
//! - In: entries in any order, while others are still to come.
//! - Out: all of them, in their order.
//! - A part is sorted as soon as it is full, and goes to a file without a name if memory is used up: a kill leaves nothing.

mod merge;
mod part;
mod runs;

use std::{io, mem, path::PathBuf};

pub(super) use self::merge::Merge;
use self::{merge::Cursor, part::Part, runs::Runs};

/// The most bytes of a part. Small parts are sorted while more is downloaded.
const LARGEST_PART: usize = 4 << 20;

/// The bytes that are read of each run at a time, at most and at least.
const READ_BYTES: (usize, usize) = (64 << 10, 4 << 10);

/// Takes entries.
pub(super) struct Sorter {
    part: Part,
    part_bytes: usize,
    /// Sorted parts, in memory.
    sorted: Vec<Vec<u8>>,
    sorted_bytes: usize,
    most_bytes: usize,
    /// Sorted parts that had no room there.
    runs: Option<Runs>,
    directory: PathBuf,
}

impl Sorter {
    /// Sorts within about so many bytes of memory; what has no room there goes to a file in this directory.
    pub(super) fn within(most_bytes: usize, directory: PathBuf) -> Self {
        Self {
            part: Part::default(),
            part_bytes: LARGEST_PART.min(most_bytes / 3),
            sorted: Vec::new(),
            sorted_bytes: 0,
            most_bytes,
            runs: None,
            directory,
        }
    }

    /// Takes out all entries so far.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self::within(self.most_bytes, self.directory.clone());
        mem::replace(self, empty)
    }

    /// Keeps some of the entries so far.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        let mut all = self.take().sorted()?;
        while let Some(entry) = all.next()? {
            if is_kept(entry) {
                self.push(&[entry])?;
            }
        }
        Ok(())
    }

    /// Adds an entry, in its parts.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.part.push(parts);
        if self.part.bytes() >= self.part_bytes {
            self.close_part()?;
        }
        Ok(())
    }

    /// Returns all entries, sorted.
    pub(super) fn sorted(mut self) -> io::Result<Merge> {
        if !self.part.is_empty() {
            self.close_part()?;
        }
        let in_memory = self.sorted.into_iter().map(Cursor::of_memory);
        let mut all: Vec<_> = in_memory.collect::<io::Result<_>>()?;
        if let Some(runs) = self.runs {
            let (most, least) = READ_BYTES;
            let left = self.most_bytes.saturating_sub(self.sorted_bytes);
            let buffer = (left / runs.count()).clamp(least, most);
            for run in runs.read(buffer) {
                all.push(Cursor::of_file(run)?);
            }
        }
        Ok(Merge::of(all))
    }

    fn close_part(&mut self) -> io::Result<()> {
        let sorted = mem::take(&mut self.part).sorted();
        self.sorted_bytes += sorted.len();
        self.sorted.push(sorted);
        // One more part needs room, and while it is sorted, twice.
        if self.sorted_bytes + 2 * self.part_bytes > self.most_bytes {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes what is sorted to a file, as one run.
    fn spill(&mut self) -> io::Result<()> {
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => self.runs.insert(Runs::create(&self.directory)?),
        };
        self.sorted_bytes = 0;
        let parts = mem::take(&mut self.sorted).into_iter();
        let parts: io::Result<Vec<_>> = parts.map(Cursor::of_memory).collect();
        let mut all = Merge::of(parts?);
        while let Some(entry) = all.next()? {
            runs.write(entry)?;
        }
        runs.end_run()
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngCore, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn all_entries_come_out_in_their_order_whatever_the_memory() {
        let mut random = StdRng::seed_from_u64(7);
        let directory = tempfile::tempdir().unwrap();
        let mut entries: Vec<Vec<u8>> = (0..5_000)
            .map(|_| {
                let mut entry = match random.next_u32() % 4 {
                    0 => b"customers/".to_vec(),
                    1 => vec![b'x'; 700],
                    _ => Vec::new(),
                };
                let more = random.next_u32() as usize % 30;
                entry.extend((0..more).map(|_| random.next_u32() as u8 % 3));
                entry
            })
            .collect();
        let sorters = [0, 20_000, 1 << 30].map(|most_bytes| {
            let mut sorter = Sorter::within(most_bytes, directory.path().to_owned());
            for entry in &entries {
                let (start, end) = entry.split_at(entry.len() / 2);
                sorter.push(&[start, end]).unwrap();
            }
            sorter
        });
        assert!(sorters[1].runs.is_some() && sorters[2].runs.is_none());
        entries.sort();
        for sorter in sorters {
            let mut all = sorter.sorted().unwrap();
            for entry in &entries {
                assert_eq!(all.next().unwrap(), Some(&entry[..]));
            }
            assert_eq!(all.next().unwrap(), None);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

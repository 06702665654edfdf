//! What a base was before a job changed it: a hash of each of its pages, and the pages that were replaced.
//!
//! SQLite keeps its changes in a write-ahead log until the file is finished, so that the file itself has every page as it
//! was until then.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, BufReader, Read},
    iter,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use foldhash::quality::FixedState;
use seedbed_protocol::digest::{Hashed, Hasher};

use super::stop::Stop;

/// Where the header of a database has the size of its pages.
const PAGE_SIZE_AT: usize = 16;

/// The header of a write-ahead log, and that of each page in it, in bytes.
/// (<https://www.sqlite.org/fileformat2.html#walformat>)
const WAL_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// How much of a file is read at a time, in bytes.
const READ_BYTES: usize = 1 << 18;

/// A job that replaces more than one in so many of a base's pages has not changed few of them.
const FEW_PAGES_ONE_IN: u64 = 8;

/// The pages of a base, by their hashes.
#[derive(Debug, Clone)]
pub struct BasePages {
    page_bytes: usize,
    /// In the order of the pages; another page has the same hash with a probability of 2^-64.
    hashes: Vec<u64>,
    hasher: FixedState,
}

impl BasePages {
    /// Reads the whole `file`, and hashes each page. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, is no SQLite database, or `stop` is set.
    pub fn read(file: &Path, stop: &Stop) -> io::Result<Self> {
        let file = File::open(file)?;
        let page_bytes = page_bytes(&file)?;
        let mut pages = Self {
            page_bytes,
            hashes: Vec::new(),
            hasher: FixedState::with_seed(RandomState::new().hash_one(page_bytes)),
        };
        each_page(file, page_bytes, stop, |page| {
            pages.hashes.push(pages.hasher.hash_one(page));
        })?;
        Ok(pages)
    }

    /// Reads the whole `file`, and returns whether it has these pages, to the letter. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or `stop` is set.
    pub fn are_of(&self, file: &Path, stop: &Stop) -> io::Result<bool> {
        let (mut hashes, mut same) = (self.hashes.iter(), true);
        each_page(File::open(file)?, self.page_bytes, stop, |page| {
            same &= hashes.next() == Some(&self.hasher.hash_one(page));
        })?;
        Ok(same && hashes.next().is_none())
    }

    /// Adds what the pages were that the write-ahead log of the database `file` replaces. `None` if these are not few.
    ///
    /// # Errors
    /// When one of the files cannot be read.
    pub fn before(self, file: &Path) -> io::Result<Option<Before>> {
        let base = File::open(file)?;
        let page_bytes = self.page_bytes;
        let count = self.hashes.len() as u64;
        let mut images = HashMap::new();
        // The journal mode is in the first page, in the file itself.
        for number in iter::once(1).chain(logged_pages(file, page_bytes)?) {
            if u64::from(number) > count || images.contains_key(&number) {
                continue;
            }
            if (images.len() as u64 + 1) * FEW_PAGES_ONE_IN > count {
                return Ok(None);
            }
            let mut image = vec![0; page_bytes];
            base.read_exact_at(&mut image, start_of(number, page_bytes))?;
            images.insert(number, image);
        }
        Ok(Some(Before {
            pages: self,
            images,
        }))
    }
}

/// What a base was before its file was changed.
#[derive(Debug)]
pub struct Before {
    pages: BasePages,
    images: HashMap<u32, Vec<u8>>,
}

impl Before {
    /// Returns the size of a page in bytes.
    pub fn page_bytes(&self) -> usize {
        self.pages.page_bytes
    }

    /// Returns how many pages there were.
    pub fn count(&self) -> u32 {
        u32::try_from(self.pages.hashes.len()).unwrap_or(u32::MAX)
    }

    /// Returns what a page was that was written since; `None` for one that was not.
    pub fn image(&self, number: u32) -> Option<&[u8]> {
        self.images.get(&number).map(Vec::as_slice)
    }

    /// Returns the numbers of the pages that were written since.
    pub fn written(&self) -> impl Iterator<Item = u32> {
        self.images.keys().copied()
    }

    /// Reads the changed file once: hashes it, and compares every page that should be as it was. Returns the number of the
    /// first page that is not. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or `stop` is set.
    pub fn compare(&self, file: &Path, stop: &Stop) -> io::Result<(Hashed, Option<u32>)> {
        let mut hasher = Hasher::default();
        let (mut number, mut differs) = (0, None);
        each_page(File::open(file)?, self.pages.page_bytes, stop, |page| {
            hasher.update(page);
            number += 1;
            let before = self.pages.hashes.get(number as usize - 1);
            if differs.is_none()
                && before.is_some_and(|before| *before != self.pages.hasher.hash_one(page))
                && !self.images.contains_key(&number)
            {
                differs = Some(number);
            }
        })?;
        Ok((hasher.finish(), differs))
    }
}

/// Returns where a page begins in its file.
pub fn start_of(number: u32, page_bytes: usize) -> u64 {
    u64::from(number - 1) * page_bytes as u64
}

fn page_bytes(file: &File) -> io::Result<usize> {
    let mut size = [0; 2];
    file.read_exact_at(&mut size, PAGE_SIZE_AT as u64)?;
    match u16::from_be_bytes(size) {
        1 => Ok(1 << 16),
        size if size.is_power_of_two() && size >= 512 => Ok(usize::from(size)),
        _ => Err(io::Error::other("it is no SQLite database")),
    }
}

/// Calls `visit` with every page of a file.
fn each_page(
    file: File,
    page_bytes: usize,
    stop: &Stop,
    mut visit: impl FnMut(&[u8]),
) -> io::Result<()> {
    let pages = file.metadata()?.len() / page_bytes as u64;
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let mut page = vec![0; page_bytes];
    for _ in 0..pages {
        stop.check()?;
        reader.read_exact(&mut page)?;
        visit(&page);
    }
    match reader.read(&mut page)? {
        0 => Ok(()),
        _ => Err(io::Error::other("its last page is cut off")),
    }
}

/// Returns the numbers of the pages in a database's write-ahead log; none if there is no log.
fn logged_pages(file: &Path, page_bytes: usize) -> io::Result<Vec<u32>> {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    let log = match File::open(PathBuf::from(name)) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let bytes = log.metadata()?.len();
    let frame = FRAME_HEADER + page_bytes as u64;
    let mut numbers = Vec::new();
    let mut at = WAL_HEADER;
    while at + frame <= bytes {
        let mut number = [0; 4];
        log.read_exact_at(&mut number, at)?;
        numbers.push(u32::from_be_bytes(number));
        at += frame;
    }
    Ok(numbers)
}

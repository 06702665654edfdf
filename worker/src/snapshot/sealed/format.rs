//! What the formats of sealed pages have in common.

/// The bytes of a page: what SQLite, SQLCipher 4 and SQLite3MultipleCiphers make by default.
pub(super) const PAGE_BYTES: usize = 4096;

/// The bytes of the salt, which takes the place of SQLite's magic text at the beginning of a sealed file.
pub(super) const SALT_BYTES: usize = 16;

/// What a plain database begins with, in so many bytes (<https://www.sqlite.org/fileformat.html#the_database_header>).
pub(super) const MAGIC: &[u8; SALT_BYTES] = b"SQLite format 3\0";

/// The tag of a page is not the one of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongTag;

/// Seals and opens the pages of one file.
pub(super) trait Format {
    /// The bytes at the end of each page that the format needs for itself.
    const RESERVED: u8;

    /// Encrypts the page of this number, from 1, in its place. What is in its reserved bytes does not matter.
    fn seal(&self, number: u32, page: &mut [u8; PAGE_BYTES]);

    /// Decrypts the page in its place; its reserved bytes become zeros.
    fn open(&self, number: u32, page: &mut [u8; PAGE_BYTES]) -> Result<(), WrongTag>;
}

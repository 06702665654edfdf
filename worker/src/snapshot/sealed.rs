//! Sealed files: a database whose pages are encrypted in a format that SQLite libraries with encryption open.
//!
//! - In: a verified file or its compact form, and a key. Out: the same database, sealed; or what a sealed one holds.
//! - A kill leaves a file in the job's directory, where plain ones are too.
//!
//! Both formats keep a nonce and a tag in the last bytes of each page, which SQLite leaves alone if the file's header says
//! so: `reserve` copies a database into one that has room there. `sqlcipher` and `chacha` are the formats of a page,
//! `pages` goes through a file.

mod chacha;
mod error;
mod format;
mod pages;
mod reserve;
mod sqlcipher;

pub use error::SealError;
pub use pages::{open_copy, seal, unseal};

//! The forms of a verified file other than the file itself, and whether they become what it is.
//!
//! - In: a verified file. Out: the compact file beside it; or the first difference between the two.
//! - A kill leaves files in the job's directory.
//!
//! `compact` copies what a device cannot make by itself, `finishing` runs the description in `protocol/finish/` as a device
//! would, `compare` reads both files row by row.

mod check;
mod compact;
mod compare;
mod error;
mod finishing;

pub use check::CompactCheck;
pub use compact::write_compact;
pub use error::FormError;
pub use finishing::finish;

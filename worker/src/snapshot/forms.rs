//! The forms of a verified file other than the file itself, and whether they become what it is.
//!
//! - In: a verified file. Out: its compact file, its stream; or the first difference between one of them and the file.
//! - A kill leaves files in the job's directory.
//!
//! `compact` copies what a device cannot make by itself, `stream` says the operations in PowerSync's own protocol, in
//! `lines` of JSON or BSON.
//! `finishing` runs the description in `protocol/finish/` as a device would, `replay` applies a stream as an SDK would,
//! `compare` reads both files row by row.

mod check;
mod compact;
mod compare;
mod error;
mod finishing;
mod lines;
mod replay;
mod stream;

pub use check::FormCheck;
pub use compact::write_compact;
pub use error::FormError;
pub use finishing::finish;
pub use stream::write_stream;

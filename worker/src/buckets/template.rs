//! Databases that are prepared with the operations of several buckets. A job whose store has these buckets starts from a copy,
//! so that their rows are written once.
//!
//! - In: what jobs have taken from the cache, and the lines of its entries.
//! - Out: a copy of a database that was verified as a snapshot is, at the positions of its entries.
//! - A kill leaves a file in the directory of the process, which the next process removes.
//!
//! What protects one: it is made of lines whose digests were compared, it never leaves the worker that made it, and each page
//! of a copy is compared with a hash in this worker's memory. Who has its buckets is decided as without it: the service's
//! checkpoint names them, and sends the operation that follows each. It is worth as much as its entries: with them it
//! becomes too old, is of another generation, or of another service.

mod choice;
mod prepare;
mod prepared;
mod set;
mod shelf;

pub(super) use choice::Choice;
pub(super) use prepare::Preparing;
pub(crate) use prepared::{Template, TemplateError};
pub(super) use set::Set;
pub(super) use shelf::{Material, Shelf};

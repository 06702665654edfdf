//! Checks a file that a job made of a verified base by a few changes: only what can have changed.
//!
//! - In: the file, and what its pages were before.
//! - Out: the same facts as of a whole check, and the file's hash; or the first thing that is wrong.
//! - A kill leaves nothing: the file is only read.
//!
//! Pages that were not written are as they were in the base, by their hashes. The others are read without SQLite, in both
//! versions: which b-tree each belongs to, and which rows and entries of indexes only one version has. Those rows have to
//! be what their newest operations say, and the operations to add up to the service's checksums. Small tables are checked
//! as a whole.

mod check;
mod content;
mod difference;
mod file;
mod tree;

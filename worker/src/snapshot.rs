//! From a synced database to a verified snapshot in the repository.
//!
//! - In: the database that the operation log wrote, and the checkpoint that it is at.
//! - Out: one file without a client's identity, in order and verified; its other forms; then its renditions and manifest in
//!   the repository.
//! - A kill leaves a file in the job's directory, or uploaded objects that no manifest refers to.
//!
//! `finish` scrubs and vacuums, `before` keeps what a base was, `verify` checks, `forms` makes the other forms, `sealed` encrypts, `upload` stores. A bucket checksum is compared in `verify/checksums`.

pub mod before;
mod finish;
pub mod forms;
pub mod sealed;
mod stop;
mod upload;
pub mod verify;

pub use finish::{FinishError, is_in_order, scrub, vacuum_into, write};
pub use stop::{Stop, StopOnDrop};
pub use upload::FetchError;
pub(crate) use upload::{SnapshotFiles, Uploader, smallest};

//! What is known of a snapshot: [`Manifest`], its [`Checkpoint`], its renditions, their [`Form`] and [`Encoding`]; and how
//! a device finishes a compact one ([`Finishing`]).
//!
//! A manifest is stored as JSON next to the files that it describes, and travels in messages. New fields have defaults,
//! so that older manifests stay readable; the layout in messages is frozen, see [`crate::message`]. Knows nothing of
//! where and how it is stored.

pub mod checkpoint;
pub mod encoding;
mod finishing;
mod form;
mod json_only;
mod notes;
mod order;
mod record;
mod sealed;
mod selection;
mod way;

pub use checkpoint::{BucketCheckpoint, Checkpoint};
pub use encoding::Encoding;
pub use finishing::{Finishing, FinishingStep};
pub use form::{Form, RenditionKind, UnknownKind};
pub use notes::Notes;
pub use order::{Dated, DisagreeingClocks, SnapshotOrder};
pub use record::{Download, Manifest, Rendition, StepTiming, TableRows};
pub use sealed::WrappedKey;
pub use selection::{Subscribed, selection};
pub use way::{FullReason, Origin, Way};

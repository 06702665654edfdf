//! What coordinator and workers say to each other: [`SeedJob`] one way, [`SeedEvent`] and [`Heartbeat`] the other.
//!
//! In: a job or an event. Out: the bytes of a message body, and back ([`codec`]). The binary layout is frozen by the
//! golden files in `protocol/tests/golden`: a changed field is a new version in [`codec`], never a silent edit; `v1`
//! reads the previous version. What an older reader may do without travels as a header ([`Extras`]). Nothing is kept, so a kill leaves nothing.

pub mod codec;
mod event;
mod extras;
mod heartbeat;
mod job;
pub mod json;
mod v1;

pub use event::{EventKind, Failure, FailureKind, SeedEvent};
pub use extras::Extras;
pub use heartbeat::Heartbeat;
pub use job::{BaseSnapshot, Scope, SeedJob, Start, StreamSubscription};
pub use json::JsonObject;

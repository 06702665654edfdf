//! What belongs to a message and its layout, which is frozen, has no room for.

use crate::manifest::{Notes, Rendition, StepTiming};

/// Fields that came later than the layout of messages. They travel as headers, which older readers ignore; of an older
/// writer they are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// Notes on the snapshot of an event.
    pub notes: Notes,
    /// Every rendition of a snapshot as its manifest has it: the layout lacks those in other forms than `file`, and the
    /// newer fields of any.
    pub renditions: Vec<Rendition>,
    /// What the time of an attempt went into that made no snapshot.
    pub steps: Vec<StepTiming>,
    /// Jobs of a worker that wait for PowerSync's limit of streams.
    pub waiting: u16,
}

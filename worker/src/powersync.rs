//! What a PowerSync service says, and how it is asked.

pub mod client;
pub mod framing;
pub(crate) mod gate;
pub mod token;

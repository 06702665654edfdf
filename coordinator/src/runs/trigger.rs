//! What starts runs without a command.

pub mod demand;

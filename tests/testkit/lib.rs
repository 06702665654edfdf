//! Test equipment: stand-ins for the services around Seedbed, private to one test and gone when it ends.

// A test ends by a panic, and so does what serves it.
#![allow(clippy::missing_panics_doc)]

pub mod cluster;
pub mod collector;
pub mod machine;
pub mod objects;
pub mod pipeline;
pub mod program;
pub mod recordings;
pub mod servers;
pub mod serving;
pub mod stand_in;
pub mod wait;

/// The stand-in as a library, in this process. [`stand_in`] starts it as a program of its own.
pub use seedbed_stand_in as powersync;

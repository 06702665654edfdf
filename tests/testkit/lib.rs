//! Test equipment: stand-ins for the services around Seedbed, private to one test and gone when it ends.

pub mod cluster;
pub mod collector;
pub mod mounts;
pub mod objects;
pub mod pipeline;
pub mod program;
pub mod servers;
pub mod serving;
pub mod stand_in;
pub mod usage;
pub mod wait;

pub use ::stand_in as powersync;

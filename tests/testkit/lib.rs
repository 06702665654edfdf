//! Test equipment: stand-ins for the services around Seedbed, private to one test and gone when it ends.

pub mod pipeline;
pub mod powersync;

//! What starts runs without a command: the schedule, and clients that ask for a snapshot that is not there.

mod demand;
mod schedule;

pub use self::{
    demand::{Answer, Demand},
    schedule::keep_schedule,
};

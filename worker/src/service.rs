//! Takes jobs, settles them, stops.

pub mod health;
pub mod worker;

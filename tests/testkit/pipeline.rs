//! A worker with everything around it, for tests: an in-memory broker, a snapshot directory, one job at a
//! time, and the events that it reports.

mod access;
mod jobs;
mod rows;
mod settings;
mod worker;

pub use access::Access;
pub use jobs::{job, starting_from};
pub use rows::same_rows;
pub use settings::{as_shipped, settings};
pub use worker::{End, JobPublisher, Pipeline};

//! A worker with everything around it, for tests: an in-memory broker, a snapshot directory, one job at a
//! time, and the events that it reports.

mod worker;

pub use worker::{Access, End, JobPublisher, Pipeline, job, same_rows, settings, starting_from};

//! The queues as a coordinator sees them: what is parked and what becomes of it (`dead`), which workers are there (`fleet`),
//! how much waits (`parked`, `standing`, `gauges`), what people have decided (`decided`), and pages of messages (`messages`).
//!
//! In: parked jobs, heartbeats, counts of messages and consumers. Out: outcomes and workers in the catalog, numbers. A
//! kill loses nothing: a parked job stays in its queue until its outcome is in the catalog.

mod dead;
mod decided;
mod fleet;
mod gauges;
mod messages;
mod parked;
mod standing;

pub(crate) use self::gauges::Gauges;
pub(crate) use self::messages::if_broker_answers;
pub(super) use self::messages::{fill_batch, job_id, remove_of_store, settle_page, take_page};
pub use self::{
    dead::DeadLetters,
    fleet::Fleet,
    parked::Parked,
    standing::{Standing, Untaken},
};

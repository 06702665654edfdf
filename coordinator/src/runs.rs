//! A run is one sweep over the stores. This room lists it, publishes its jobs, records what workers report, and keeps it
//! from getting stuck.
//!
//! ```text
//!   trigger (schedule, clients) ─┐
//!   commands, API ───────────────┴▶ control ─▶ list ─▶ catalog ─▶ publish ─▶ Queue::Jobs ─▶ workers
//!                                                        ▲  ▲                                 │
//!                                       supervise ───────┘  └── record ◀── Queue::Events ◀────┘
//! ```
//!
//! In: a list of stores and a [`Sweep`](crate::catalog::Sweep), or events. Out: messages, changes of the catalog, [`progress`] as numbers.
//! Knows nothing of HTTP or of what is printed. A kill loses nothing: what is listed is published by the next process
//! (`publish`), what was not recorded is delivered again (`record`).

mod base;
mod control;
mod error;
mod gauges;
mod job;
mod list;
mod parked;
pub mod progress;
mod publish;
mod record;
mod supervise;
mod trigger;

pub(crate) use self::gauges::Gauges;
pub use self::{
    control::{Cancelled, Runs},
    error::RunError,
    job::{JobMaker, Misfit},
    list::{StoreFilter, StoreList},
    parked::Parked,
    publish::{Published, Publisher},
    record::{RecordError, Recorder},
    supervise::{LostAfter, Supervisor},
    trigger::{Answer, Demand, keep_schedule},
};

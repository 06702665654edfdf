//! A run is one sweep over the stores. This room lists it, publishes its jobs, records what workers report, and keeps it
//! from getting stuck.
//!
//! ```text
//!   trigger (schedule, clients) ─┐
//!   commands, API ───────────────┴▶ control ─▶ list ─▶ catalog ─▶ publish ─▶ Queue::Jobs ─▶ workers
//!                                                        ▲  ▲                                 │
//!                                       supervise ───────┘  ├── record ◀── Queue::Events ◀────┤
//!                                                           └── queues ◀── parked, heartbeats ◀┘
//! ```
//!
//! In: a list of stores and a [`Sweep`](crate::catalog::Sweep), or events. Out: messages, changes of the catalog, [`progress`] as numbers.
//! Knows nothing of HTTP or of what is printed. A kill loses nothing: what is listed is published by the next process
//! (`publish`), what was not recorded is delivered again (`record`).

mod base;
mod control;
mod error;
mod job;
mod list;
mod notify;
pub mod progress;
mod publish;
mod queues;
mod record;
mod supervise;
mod trigger;

pub(crate) use self::queues::{Gauges, if_broker_answers};
pub use self::{
    control::{Cancelled, Runs, StoreForgotten, forget},
    error::{RecordError, RunError},
    job::{JobMaker, Misfit},
    list::{StoreFilter, StoreList},
    notify::{Notifier, NotifyError, Webhook},
    publish::{Published, Publisher},
    queues::{DeadLetters, Fleet, Parked, Standing, Untaken},
    record::Recorder,
    supervise::{LostAfter, Supervisor},
    trigger::{Answer, Asked, Demand, Reseeder, keep_schedule},
};

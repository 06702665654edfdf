//! Starts, retries and cancels runs, and forgets stores: the one entry point for commands, the API, the schedule and clients' requests.
//!
//! In: a list of stores and a [`Sweep`](super::Sweep), or a run's id. Out: jobs in the catalog, listed or cancelled, and
//! messages removed from queues. A kill leaves the catalog changed or not, and at most a message that no job needs.

mod cancel;
mod forget;
mod retry;
mod runs;

pub(super) use self::cancel::remove_cancelled;
pub use self::{
    cancel::Cancelled,
    forget::{StoreForgotten, forget},
    runs::Runs,
};

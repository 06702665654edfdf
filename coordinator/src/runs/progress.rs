//! How far runs are, as numbers: who shows them stands above this room.
//!
//! In: what the catalog knows, or what this process counts. Out: [`Progress`] and [`Summary`] to an [`Observer`].
//! Nothing is written, so a kill leaves nothing.

mod follow;
mod numbers;
mod observer;

pub(crate) use self::follow::Follower;
pub use self::{
    numbers::{Counts, Progress, Summary},
    observer::{Observer, ReadProgress},
};

//! How far runs are, as numbers. `cli::progress` and the API show them.
//!
//! In: what the catalog knows, or what this process counts. Out: [`Progress`] and [`Summary`] to an [`Observer`].
//! Nothing is written, so a kill leaves nothing.

mod follow;
mod numbers;
mod observer;
pub mod timeline;

pub(crate) use self::follow::Follower;
pub use self::{
    numbers::{Counts, Progress, Summary},
    observer::{Observer, ReadProgress},
};

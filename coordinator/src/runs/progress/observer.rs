//! The trait of what is told how far runs are. The rooms above implement it; nothing here knows how numbers are shown.

use std::convert::Infallible;

use futures::future::BoxFuture;

use super::numbers::{Progress, Summary};

/// Reads the progress of now.
pub type ReadProgress = Box<dyn Fn() -> Progress + Send + Sync>;

/// Is told how far runs are.
pub trait Observer: Send + Sync {
    /// Shows what `progress` reads, again and again, until the future is dropped.
    fn watch(&self, progress: ReadProgress) -> BoxFuture<'_, Infallible>;

    /// How many failed stores a summary names.
    fn named_failures(&self) -> i64;

    /// Shows how runs ended.
    fn summary(&self, summary: &Summary);
}

//! A flag that ends work on another thread when nobody waits for its result any more.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What work asks again and again: whether it should stop, since its job was abandoned.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Returns a guard that sets this when it is dropped.
    pub fn on_drop(&self) -> StopOnDrop {
        StopOnDrop(self.clone())
    }

    /// Returns whether the work should stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails if the work should stop.
    ///
    /// # Errors
    /// Only then.
    pub fn check(&self) -> io::Result<()> {
        match self.is_set() {
            true => Err(io::Error::other("the job was abandoned")),
            false => Ok(()),
        }
    }
}

/// Stops work when it is dropped.
#[derive(Debug)]
pub struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

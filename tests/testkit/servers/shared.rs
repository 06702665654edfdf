//! A server that tests share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A server that is started when a test asks for it, and stopped when none holds it any more.
pub(super) struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// The running one, or else what `start` starts. Others who ask wait until it runs.
    pub(super) fn get(&self, start: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(start());
            *shared = Arc::downgrade(&started);
            started
        })
    }
}

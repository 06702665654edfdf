//! Recorded bodies, answered byte for byte.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A body that answers any request.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The body, exactly as it goes over the wire.
    pub body: Bytes,
    /// The `Content-Type` header.
    pub content_type: String,
    /// The `Content-Encoding` header, for a body that was recorded compressed.
    pub content_encoding: Option<String>,
    /// Whether the connection stays open after the body, as a live stream does.
    pub stay_open: bool,
    /// Answers only requests for this store.
    pub store: Option<String>,
}

impl Replay {
    /// A body that ends after its last byte.
    pub fn new(body: impl Into<Bytes>, content_type: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            content_type: content_type.into(),
            content_encoding: None,
            stay_open: false,
            store: None,
        }
    }

    /// Sets the `Content-Encoding` header.
    pub fn encoded(mut self, content_encoding: impl Into<String>) -> Self {
        self.content_encoding = Some(content_encoding.into());
        self
    }

    /// Leaves the connection open after the body.
    pub fn staying_open(mut self) -> Self {
        self.stay_open = true;
        self
    }

    /// Waits for a request of this store.
    pub fn for_store(mut self, store: impl Into<String>) -> Self {
        self.store = Some(store.into());
        self
    }
}

/// The bodies waiting to be replayed.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<VecDeque<Replay>>);

impl Replays {
    pub(crate) fn push(&self, replay: Replay) {
        self.lock().push_back(replay);
    }

    /// The oldest body that answers requests of this store.
    pub(crate) fn take(&self, store: &str) -> Option<Replay> {
        let mut waiting = self.lock();
        let hit = waiting
            .iter()
            .position(|replay| replay.store.as_deref().is_none_or(|wanted| wanted == store))?;
        waiting.remove(hit)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Replay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

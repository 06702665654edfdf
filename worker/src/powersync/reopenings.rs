//! Limits how often streams of one service are opened again, over all jobs of a worker.
//!
//! Pauses of a job end when it makes progress. A service that ends every stream after a single operation would still be
//! asked several times a second by each job; this limit has no exception.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use tokio::time::Instant;

/// At least so many streams may be opened again at once.
const LEAST_BURST: u32 = 20;

/// For each stream that may be open, one is opened again in this time.
const TIME_PER_PLACE: Duration = Duration::from_secs(4);

/// Gives each reopening its time.
#[derive(Debug)]
pub(crate) struct Reopenings {
    /// The time by which what was opened so far would have been opened at the sustained rate.
    paid_until: Mutex<Instant>,
    interval: Duration,
    burst: u32,
}

impl Reopenings {
    /// Returns the limit for a worker that may have `places` streams open.
    pub(crate) fn new(places: u16) -> Self {
        let places = u32::from(places.max(1));
        Self {
            paid_until: Mutex::new(Instant::now()),
            interval: TIME_PER_PLACE / places,
            burst: LEAST_BURST.max(4 * places),
        }
    }

    /// Returns how long a stream that is opened again has to wait.
    pub(crate) fn wait(&self) -> Duration {
        let now = Instant::now();
        // No code panics while it holds the lock.
        let mut paid_until = self
            .paid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *paid_until = (*paid_until).max(now) + self.interval;
        let ahead = *paid_until - now;
        ahead.saturating_sub(self.interval * self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_what_follows_waits_its_turn() {
        let reopenings = Reopenings::new(2);
        let free = (0..30).take_while(|_| reopenings.wait().is_zero()).count();
        assert_eq!(free, LEAST_BURST as usize);
        let wait = reopenings.wait();
        assert_eq!(wait, TIME_PER_PLACE, "the second after the burst");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(reopenings.wait().is_zero());
    }
}

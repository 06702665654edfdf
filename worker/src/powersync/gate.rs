//! Limits how many sync streams this worker has open at a time, and waits out a 429. `seed/streams.rs` decides for how long;
//! a job that would wait longer goes back to the queue (`service/settle.rs`).
//!
//! A PowerSync service refuses streams above its limit with 429. Then every job of this worker waits before it
//! opens another stream, and fewer streams are open at a time until some complete again: additive increase,
//! multiplicative decrease, as in TCP.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Hands out a [`Pass`] for each stream that may be open.
#[derive(Debug)]
pub(crate) struct StreamGate {
    state: Mutex<State>,
    /// Wakes one waiting job when a place becomes free.
    freed: Notify,
    most: u16,
}

#[derive(Debug)]
struct State {
    open: u16,
    limit: u16,
    closed_until: Option<Instant>,
}

/// Why a stream has to wait.
enum Obstacle {
    Full,
    Closed { until: Instant },
}

impl StreamGate {
    /// Returns a gate that allows `most` open streams; at least one.
    pub(crate) fn new(most: u16) -> Self {
        let most = most.max(1);
        Self {
            state: Mutex::new(State {
                open: 0,
                limit: most,
                closed_until: None,
            }),
            freed: Notify::new(),
            most,
        }
    }

    /// Waits for a place. The stream may be open as long as the pass is held.
    pub(crate) async fn enter(&self) -> Pass<'_> {
        loop {
            let freed = self.freed.notified();
            match self.try_enter() {
                Ok(pass) => return pass,
                Err(Obstacle::Full) => freed.await,
                Err(Obstacle::Closed { until }) => {
                    // This wake-up may have been meant for another job, and this job may be dropped while it sleeps.
                    self.freed.notify_one();
                    tokio::time::sleep_until(until).await;
                }
            }
        }
    }

    fn try_enter(&self) -> Result<Pass<'_>, Obstacle> {
        let mut state = self.lock();
        if let Some(until) = state.closed_until {
            if until > Instant::now() {
                return Err(Obstacle::Closed { until });
            }
            state.closed_until = None;
        }
        if state.open >= state.limit {
            return Err(Obstacle::Full);
        }
        state.open += 1;
        if state.open < state.limit {
            // Notifications are not counted: pass the wake-up on.
            self.freed.notify_one();
        }
        Ok(Pass { gate: self })
    }

    /// Closes the gate for `pause` after the service refused a stream because it has too many; then half as many may
    /// be open. Refusals that arrive while the gate is closed belong to the same overload.
    pub(crate) fn overloaded(&self, pause: Duration) {
        let mut state = self.lock();
        let until = Instant::now() + pause;
        if state
            .closed_until
            .is_none_or(|closed| closed <= Instant::now())
        {
            state.limit = (state.limit / 2).max(1);
        }
        state.closed_until = state.closed_until.max(Some(until));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is valid between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Allows one open stream.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a StreamGate,
}

impl Pass<'_> {
    /// Allows one more stream: this one completed, so the service can take it.
    pub(crate) fn finished(self) {
        let mut state = self.gate.lock();
        state.limit = (state.limit + 1).min(self.gate.most);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.lock().open -= 1;
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(7);

    #[tokio::test(start_paused = true)]
    async fn an_overload_closes_the_gate_and_halves_what_may_be_open() {
        let gate = StreamGate::new(4);
        let passes = [gate.enter().await, gate.enter().await, gate.enter().await];
        gate.overloaded(PAUSE);
        // Of the same overload: it does not halve again.
        gate.overloaded(PAUSE);
        drop(passes);
        let closed_at = Instant::now();
        let (first, _second) = (gate.enter().await, gate.enter().await);
        assert_eq!(closed_at.elapsed(), PAUSE);
        assert!(gate.enter().now_or_never().is_none(), "two of four");
        first.finished();
        let _third = gate.enter().await;
        let _fourth = gate.enter().await;
        assert!(gate.enter().now_or_never().is_none(), "three of four");
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_is_taken_by_who_waits() {
        let gate = StreamGate::new(1);
        let pass = gate.enter().await;
        let mut waiting = std::pin::pin!(gate.enter());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(pass);
        drop(waiting.await);
        let _again = gate.enter().await;
    }
}

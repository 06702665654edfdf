//! Limits how many sync streams this worker has open at a time, and waits out a 429. `seed/streams.rs` decides for how long;
//! a job that would wait longer goes back to the queue (`service/settle.rs`).
//!
//! A PowerSync service refuses streams above its limit with 429. Then every job of this worker waits before it
//! opens another stream. After a 429, and when the service answers slowly, fewer streams are open at a time until some
//! complete again: additive increase, multiplicative decrease, as in TCP. How many jobs wait for that is told to the
//! coordinators (`service/presence.rs`): people would take them for slow.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::warn;

use super::tempo::Tempo;
use crate::metrics::Metrics;

/// What is left of the limit after a slow answer.
const AFTER_SLOW: f64 = 0.75;

/// What is left of the limit after a 429.
const AFTER_REFUSAL: f64 = 0.5;

/// A wait for the service's limit is logged once in this time.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Hands out a [`Pass`] for each stream that may be open.
#[derive(Debug)]
pub(crate) struct StreamGate {
    state: Mutex<State>,
    /// Wakes one waiting job when a place becomes free.
    freed: Notify,
    most: u16,
    /// Jobs that wait for the service, and not for this worker's own setting.
    waiting: watch::Sender<u16>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct State {
    open: u16,
    /// Its whole part is how many may be open.
    limit: f64,
    closed_until: Option<Instant>,
    /// When the limit was lowered last. Streams that were open then say nothing about the new one.
    lowered: Option<Instant>,
    tempo: Tempo,
    /// When a wait was logged last.
    told: Option<Instant>,
}

impl State {
    fn allowed(&self) -> u16 {
        // In range: it begins as a u16, and is never raised above that.
        self.limit as u16
    }

    fn lower(&mut self, to: f64) {
        self.limit = (self.limit * to).max(1.0);
        self.lowered = Some(Instant::now());
    }
}

/// Why a stream has to wait.
enum Obstacle {
    /// As many are open as the setting allows.
    Full,
    /// As many are open as the service seems to allow.
    Lowered,
    Closed {
        until: Instant,
    },
}

impl StreamGate {
    /// Returns a gate that allows `most` open streams; at least one.
    pub(crate) fn new(most: u16, metrics: Arc<Metrics>) -> Self {
        let most = most.max(1);
        metrics.streams_allowed(most);
        Self {
            state: Mutex::new(State {
                open: 0,
                limit: most.into(),
                closed_until: None,
                lowered: None,
                tempo: Tempo::new(),
                told: None,
            }),
            freed: Notify::new(),
            most,
            waiting: watch::Sender::default(),
            metrics,
        }
    }

    /// Tells how many jobs wait for the service: it refused a stream, or answers slowly.
    pub(crate) fn waiting(&self) -> watch::Receiver<u16> {
        self.waiting.subscribe()
    }

    /// Waits for a place. The stream may be open as long as the pass is held.
    pub(crate) async fn enter(&self) -> Pass<'_> {
        if let Ok(pass) = self.try_enter() {
            return pass;
        }
        let _waiting = self.metrics.waiting_for_stream();
        let mut for_service = None;
        loop {
            let freed = self.freed.notified();
            let obstacle = match self.try_enter() {
                Ok(pass) => return pass,
                Err(obstacle) => obstacle,
            };
            match obstacle {
                Obstacle::Full => for_service = None,
                _ if for_service.is_none() => for_service = Some(Waiting::begin(&self.waiting)),
                _ => {}
            }
            match obstacle {
                Obstacle::Full | Obstacle::Lowered => freed.await,
                Obstacle::Closed { until } => {
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
        if state.open >= state.allowed() {
            return Err(match state.allowed() < self.most {
                true => Obstacle::Lowered,
                false => Obstacle::Full,
            });
        }
        state.open += 1;
        if state.open < state.allowed() {
            // Notifications are not counted: pass the wake-up on.
            self.freed.notify_one();
        }
        Ok(Pass {
            gate: self,
            entered: Instant::now(),
            was_slow: false,
        })
    }

    /// Closes the gate for `pause` after the service refused a stream because it has too many; then half as many may
    /// be open. Refusals that arrive while the gate is closed belong to the same overload.
    pub(crate) fn overloaded(&self, pause: Duration) {
        let mut state = self.lock();
        let now = Instant::now();
        if state.closed_until.is_none_or(|closed| closed <= now) {
            state.lower(AFTER_REFUSAL);
            self.metrics.streams_allowed(state.allowed());
        }
        state.closed_until = state.closed_until.max(Some(now + pause));
        self.metrics.stream_refused();
        if state.told.is_none_or(|told| now >= told + TOLD_EVERY) {
            state.told = Some(now);
            let (allowed, most) = (state.allowed(), self.most);
            warn!(
                allowed,
                most, "waiting for PowerSync's limit of streams (429) for {pause:?}"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is valid between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that waits for the service.
struct Waiting<'a>(&'a watch::Sender<u16>);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a watch::Sender<u16>) -> Self {
        waiting.send_modify(|jobs| *jobs += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|jobs| *jobs -= 1);
    }
}

/// Allows one open stream.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a StreamGate,
    entered: Instant,
    was_slow: bool,
}

impl Pass<'_> {
    /// Records how long the service took for the first checkpoint. When that is slow, fewer streams may be open.
    pub(crate) fn answered(&mut self, took: Duration) {
        let mut state = self.gate.lock();
        let is_slow = state.tempo.is_slow(took);
        self.was_slow = is_slow;
        if is_slow && state.lowered.is_none_or(|at| self.entered > at) {
            state.lower(AFTER_SLOW);
            self.gate.metrics.streams_allowed(state.allowed());
        }
    }

    /// Allows a little more: this stream completed in time, so the service can take it. When as many as are allowed did,
    /// that is one more.
    pub(crate) fn finished(self) {
        if self.was_slow {
            return;
        }
        let mut state = self.gate.lock();
        let limit = state.limit + 1.0 / f64::from(state.allowed());
        state.limit = limit.min(self.gate.most.into());
        self.gate.metrics.streams_allowed(state.allowed());
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
        let gate = gate(4);
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
        gate.enter().await.finished();
        let _third = gate.enter().await;
        let _fourth = gate.enter().await;
        assert!(gate.enter().now_or_never().is_none(), "three of four");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_answers_lower_what_may_be_open_once_a_round_and_fast_ones_raise_it_again() {
        let gate = gate(8);
        gate.enter().await.answered(Duration::from_millis(5));
        let passes = [gate.enter().await, gate.enter().await];
        tokio::time::advance(Duration::from_secs(1)).await;
        for mut pass in passes {
            pass.answered(Duration::from_secs(1));
            pass.finished();
        }
        assert_eq!(gate.lock().allowed(), 6, "both were open in the same round");
        for _ in 0..100 {
            let mut pass = gate.enter().await;
            pass.answered(Duration::from_millis(5));
            pass.finished();
        }
        assert_eq!(gate.lock().allowed(), 8, "never more than at first");
        for _ in 0..30 {
            tokio::time::advance(Duration::from_secs(1)).await;
            gate.enter().await.answered(Duration::from_secs(1));
        }
        assert_eq!(gate.lock().allowed(), 1, "never less than one");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_service_is_told_apart_from_who_waits_for_a_setting() {
        let gate = gate(1);
        let waiting = gate.waiting();
        let pass = gate.enter().await;
        let mut behind = Box::pin(gate.enter());
        assert!(behind.as_mut().now_or_never().is_none());
        assert_eq!(*waiting.borrow(), 0, "the setting allows one");
        gate.overloaded(PAUSE);
        drop(pass);
        assert!(behind.as_mut().now_or_never().is_none());
        assert_eq!(*waiting.borrow(), 1, "the service has refused one");
        let abandoned = Box::pin(gate.enter());
        let abandoned = tokio::time::timeout(PAUSE / 2, abandoned).await;
        assert!(abandoned.is_err());
        assert_eq!(*waiting.borrow(), 1, "a job that is dropped waits no more");
        drop(behind.await);
        assert_eq!(*waiting.borrow(), 0);
    }

    fn gate(most: u16) -> StreamGate {
        StreamGate::new(most, Arc::new(Metrics::new()))
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_is_taken_by_who_waits() {
        let gate = gate(1);
        let pass = gate.enter().await;
        let mut waiting = std::pin::pin!(gate.enter());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(pass);
        drop(waiting.await);
        let _again = gate.enter().await;
    }
}

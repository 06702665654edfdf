//! Announces that the worker is there: a heartbeat again and again, and a last one when it leaves.
//!
//! Heartbeats go to a queue of their own, which keeps few of them and none for long, so that they neither delay what
//! jobs report nor fill a disk when no coordinator takes them. A kill leaves the last one, which expires. When jobs begin or end
//! to wait for the service, it does not wait for its turn: such a wait is shorter than the pause.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use seedbed_protocol::{
    broker::{Broker, BrokerError, Message, Queue},
    message::Heartbeat,
};
use tokio::sync::watch;
use tracing::debug;

use super::identity::Identity;

/// How many pauses between heartbeats a worker outlives without one: three may be lost.
const LIFETIME: f64 = 3.5;

/// At least so long between two heartbeats, however often jobs begin to wait.
const SOONEST: Duration = Duration::from_secs(1);

/// How long a worker that stops tries to say so.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Announces one worker.
#[derive(Clone)]
pub(super) struct Presence {
    broker: Arc<dyn Broker>,
    identity: Identity,
    slots: u16,
    busy: Arc<AtomicU16>,
    /// Jobs that wait for the service's limit of streams.
    waiting: watch::Receiver<u16>,
    started_at: DateTime<Utc>,
    every: Duration,
}

impl Presence {
    /// Announces a worker that starts now, with so many slots, every so often.
    pub(super) fn new(
        broker: Arc<dyn Broker>,
        slots: u16,
        waiting: watch::Receiver<u16>,
        every: Duration,
    ) -> Self {
        Self {
            broker,
            identity: Identity::of_this_process(),
            slots,
            busy: Arc::default(),
            waiting,
            started_at: Utc::now(),
            every,
        }
    }

    /// Says with the next heartbeat that so many jobs are worked on.
    pub(super) fn is_busy_with(&self, jobs: usize) {
        let jobs = u16::try_from(jobs).unwrap_or(u16::MAX);
        self.busy.store(jobs, Ordering::Relaxed);
    }

    /// Announces the worker until the future is dropped. While the broker is away, the newest heartbeat waits.
    pub(super) async fn keep_announcing(mut self) -> Infallible {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = self.waiting.changed() => {}
            }
            self.waiting.mark_unchanged();
            if let Err(error) = self.announce(self.every.mul_f64(LIFETIME)).await {
                debug!("a heartbeat is lost: {error}");
            }
            tokio::time::sleep(SOONEST.min(self.every)).await;
        }
    }

    /// Says that the worker leaves.
    pub(super) async fn leave(&self) {
        let leaving = self.announce(Duration::ZERO);
        match tokio::time::timeout(LEAVE_TIMEOUT, leaving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("it left without a word: {error}"),
            Err(_) => debug!("it left without a word: the broker does not answer"),
        }
    }

    async fn announce(&self, lifetime: Duration) -> Result<(), BrokerError> {
        let heartbeat = Heartbeat {
            worker: self.identity.worker.clone(),
            host: self.identity.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            slots: self.slots,
            busy: self.busy.load(Ordering::Relaxed),
            started_at: self.started_at,
            lifetime_millis: u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX),
            waiting: *self.waiting.borrow(),
        };
        let message = Message::heartbeat(&heartbeat)?;
        self.broker.publish(Queue::Workers, message).await
    }
}

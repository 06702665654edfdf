//! The [`Broker`] of `memory:`: everything is in this process, and a kill loses all of it.
//!
//! A queue holds a bounded number of waiting messages (backpressure), so that a coordinator with 100,000 stores
//! publishes only as fast as the workers take. Messages that come back (retries, dropped deliveries) are never
//! refused: they were counted when they were first published.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::{
    contract::{Broker, Consumer, Delivery, Peer, Settlement},
    envelope::Message,
    error::BrokerError,
    queue::Queue,
    trouble::Trouble,
};

/// Waiting messages that a queue takes before [`Broker::publish`] waits.
const DEFAULT_CAPACITY: usize = 1024;

/// Messages that may wait for a retry before [`Broker::publish`] waits: while a service is down, not the whole list of
/// stores must collect here.
const MAX_DELAYED: usize = 1024;

/// Parked messages and heartbeats that each queue keeps; of more, the oldest are dropped.
const MAX_PARKED: usize = 1024;

/// Queues in the memory of this process.
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

struct Shared {
    queues: HashMap<Queue, Room>,
    closed: watch::Sender<bool>,
}

/// One queue.
struct Room {
    state: Mutex<State>,
    /// Wakes one consumer for each message that is put in.
    arrived: Notify,
    /// Wakes publishers when a message is taken out.
    taken: Notify,
    capacity: usize,
    consumers: AtomicU64,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Waiting>,
    delayed: usize,
}

struct Waiting {
    message: Message,
    returned: u32,
}

impl State {
    /// Puts a message in: an urgent one before those that are not.
    fn put(&mut self, message: Message) {
        let is_urgent = |waiting: &Waiting| waiting.message.headers.urgent;
        let place = match message.headers.urgent {
            true => self.ready.iter().position(|waiting| !is_urgent(waiting)),
            false => None,
        };
        let place = place.unwrap_or(self.ready.len());
        let waiting = Waiting {
            message,
            returned: 0,
        };
        self.ready.insert(place, waiting);
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl MemoryBroker {
    /// Returns a broker whose queues hold `capacity` waiting messages each.
    pub fn new(capacity: usize) -> Self {
        let room = || Room {
            state: Mutex::default(),
            arrived: Notify::new(),
            taken: Notify::new(),
            capacity,
            consumers: AtomicU64::new(0),
        };
        let queues = Queue::ALL.map(|queue| (queue, room())).into();
        Self {
            shared: Arc::new(Shared {
                queues,
                closed: watch::Sender::new(false),
            }),
        }
    }
}

impl Shared {
    fn room(&self, queue: Queue) -> &Room {
        &self.queues[&queue]
    }

    fn deliver(
        self: Arc<Self>,
        queue: Queue,
        waiting: Waiting,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Delivery {
        let Waiting { message, returned } = waiting;
        let held = HeldMessage {
            shared: self,
            queue,
            returned,
            unsettled: Some(message.clone()),
            _slot: slot,
        };
        Delivery::new(message, returned, Box::new(held))
    }

    /// Completes when the broker is closed.
    async fn closing(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the state is valid between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in if there is room, else hands it back.
    fn try_put(&self, message: Message) -> Result<(), Message> {
        let mut state = self.lock();
        if state.ready.len() >= self.capacity || state.delayed >= MAX_DELAYED {
            return Err(message);
        }
        state.put(message);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts a message back at the front, beyond the capacity if need be.
    fn give_back(&self, message: Message, returned: u32) {
        self.lock().ready.push_front(Waiting { message, returned });
        self.arrived.notify_one();
    }

    /// Keeps a parked message, beyond the capacity if need be, and drops the oldest of too many.
    fn park(&self, message: Message) {
        let mut state = self.lock();
        if state.ready.len() >= MAX_PARKED {
            state.ready.pop_front();
        }
        state.ready.push_back(Waiting {
            message,
            returned: 0,
        });
        drop(state);
        self.arrived.notify_one();
    }

    /// Puts in a message whose delay has passed, even beyond the capacity.
    fn come_back(&self, message: Message) {
        let mut state = self.lock();
        state.delayed -= 1;
        state.put(message);
        drop(state);
        self.arrived.notify_one();
    }

    fn try_take(&self) -> Option<Waiting> {
        let mut state = self.lock();
        let waiting = state.ready.pop_front()?;
        let more = !state.ready.is_empty();
        drop(state);
        self.taken.notify_one();
        if more {
            // Notifications are not counted: pass the wake-up on to the next consumer.
            self.arrived.notify_one();
        }
        Some(waiting)
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, queue: Queue, mut message: Message) -> Result<(), BrokerError> {
        let room = self.shared.room(queue);
        loop {
            if *self.shared.closed.borrow() {
                return Err(BrokerError::Closed);
            }
            if queue == Queue::Workers {
                room.park(message);
                return Ok(());
            }
            let taken = room.taken.notified();
            match room.try_put(message) {
                Ok(()) => {
                    // Another publisher may be waiting for the rest of the room.
                    room.taken.notify_one();
                    return Ok(());
                }
                Err(refused) => message = refused,
            }
            tokio::select! {
                () = taken => {}
                () = self.shared.closing() => return Err(BrokerError::Closed),
            }
        }
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        self.shared
            .room(queue)
            .consumers
            .fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(MemoryConsumer {
            shared: self.shared.clone(),
            queue,
            slots: Arc::new(Semaphore::new(prefetch.max(1).into())),
        }))
    }

    async fn take(&self, queue: Queue) -> Result<Option<Delivery>, BrokerError> {
        let waiting = self.shared.room(queue).try_take();
        Ok(waiting.map(|waiting| self.shared.clone().deliver(queue, waiting, None)))
    }

    async fn waiting(&self, queue: Queue) -> Result<u64, BrokerError> {
        Ok(self.shared.room(queue).lock().ready.len() as u64)
    }

    async fn held(&self, queue: Queue) -> Result<u64, BrokerError> {
        let state = self.shared.room(queue).lock();
        Ok((state.ready.len() + state.delayed) as u64)
    }

    async fn consumers(&self, queue: Queue) -> Result<u64, BrokerError> {
        Ok(self.shared.room(queue).consumers.load(Ordering::Relaxed))
    }

    fn trouble(&self) -> Option<Trouble> {
        let closed = *self.shared.closed.borrow();
        closed.then(|| Trouble::away("it is closed"))
    }

    fn peer(&self) -> Peer {
        Peer {
            system: "memory",
            address: None,
        }
    }

    async fn close(&self) {
        self.shared.closed.send_replace(true);
    }
}

struct MemoryConsumer {
    shared: Arc<Shared>,
    queue: Queue,
    slots: Arc<Semaphore>,
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        let shared = self.shared.clone();
        tokio::select! {
            biased;
            () = shared.closing() => None,
            delivery = self.take() => Some(delivery),
        }
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        let room = self.shared.room(self.queue);
        room.consumers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl MemoryConsumer {
    async fn take(&self) -> Delivery {
        let slot = self
            .slots
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let room = self.shared.room(self.queue);
        let waiting = loop {
            let arrived = room.arrived.notified();
            if let Some(waiting) = room.try_take() {
                break waiting;
            }
            arrived.await;
        };
        self.shared.clone().deliver(self.queue, waiting, Some(slot))
    }
}

/// A message that a consumer holds; dropped unsettled, it goes back to its queue.
struct HeldMessage {
    shared: Arc<Shared>,
    queue: Queue,
    returned: u32,
    unsettled: Option<Message>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl HeldMessage {
    fn room(&self) -> &Room {
        self.shared.room(self.queue)
    }
}

#[async_trait]
impl Settlement for HeldMessage {
    async fn ack(mut self: Box<Self>) -> Result<(), BrokerError> {
        self.unsettled = None;
        Ok(())
    }

    async fn retry_later(
        mut self: Box<Self>,
        next: Message,
        delay: Duration,
    ) -> Result<(), BrokerError> {
        let shared = self.shared.clone();
        let queue = match (self.queue.retried_in(), delay.is_zero()) {
            (_, true) => self.queue,
            (Some(queue), false) => queue,
            (None, false) => return Err(BrokerError::NoDelays { queue: self.queue }),
        };
        shared.room(queue).lock().delayed += 1;
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => shared.room(queue).come_back(next),
                () = shared.closing() => {}
            }
        });
        self.unsettled = None;
        Ok(())
    }

    async fn park(mut self: Box<Self>, parked: Message) -> Result<(), BrokerError> {
        self.shared.room(self.queue.parking()).park(parked);
        self.unsettled = None;
        Ok(())
    }
}

impl Drop for HeldMessage {
    fn drop(&mut self) {
        let Some(mut message) = self.unsettled.take() else {
            return;
        };
        // A parked message stays parked, however often it is taken and dropped.
        if self.returned < self.queue.return_limit() || self.queue == self.queue.parking() {
            return self.room().give_back(message, self.returned + 1);
        }
        let times = self.returned + 1;
        message.headers.parked = Some(format!("it came back unsettled {times} times"));
        message.headers.dead_lettered = true;
        self.shared.room(self.queue.parking()).park(message);
    }
}

//! The broker of `amqp://` and `amqps://`: RabbitMQ 3.10 to 4.x.
//!
//! Two connections (`link`) that are made anew whenever they are lost: one with the channel that publishes
//! (`publisher`), one with a channel for each consumer (`consumer`), so that messages can be taken and
//! acknowledged while a server that is short of memory or disk blocks its publishers.
//!
//! lapin can recover connections by itself, but gives up after a number of tries, replays what it remembers
//! instead of what `topology` says, and leaves the confirms that were on their way to its user; so
//! Seedbed makes new connections and asks lapin for nothing else.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lapin::{
    Channel,
    options::{BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
};
use tokio::{runtime::Handle, sync::Mutex};

use self::{
    consumer::{AmqpConsumer, deliver},
    link::Link,
    publisher::Publisher,
    wire::Letter,
};
use super::{
    Broker, BrokerConfig, BrokerError, Consumer, Delivery, Message, Peer, Queue, topology::Route,
};

mod address;
mod consumer;
mod error;
mod link;
mod publisher;
mod wire;

/// See the module. Dropping it and all that came from it closes the connections.
pub struct AmqpBroker {
    shared: Arc<Shared>,
    /// What [`Broker::take`] takes from.
    channel: Mutex<Option<Channel>>,
    peer: Peer,
}

/// What consumers and deliveries need as well.
struct Shared {
    publisher: Publisher,
    /// The connection that messages are taken from.
    taking: Link,
    consumer_timeout: Duration,
    /// Where a dropped delivery, which may be dropped on any thread, gives its message back.
    runtime: Handle,
}

impl Shared {
    async fn publish(&self, route: Route, message: Message) -> Result<(), BrokerError> {
        self.publisher.publish(Letter::new(route, message)).await
    }
}

impl AmqpBroker {
    /// Connects and declares the queues.
    ///
    /// # Errors
    /// See [`super::connect`].
    pub async fn connect(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let address = Arc::new(address::resolve(config)?);
        let peer = address.peer();
        let patience = config.connect_timeout;
        let publishing = Link::open(address.clone(), "seedbed publishing", patience).await?;
        let taking = Link::open(address, "seedbed taking", patience).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                publisher: Publisher::start(publishing),
                taking,
                consumer_timeout: config.consumer_timeout,
                runtime: Handle::current(),
            }),
            channel: Mutex::default(),
            peer,
        })
    }

    /// The channel of [`Broker::take`]; opens one if there is none or it was lost.
    async fn channel(&self) -> Result<Channel, BrokerError> {
        let mut channel = self.channel.lock().await;
        match &*channel {
            Some(open) if open.status().connected() => Ok(open.clone()),
            _ => Ok(channel
                .insert(self.shared.taking.channel_now().await?)
                .clone()),
        }
    }

    async fn ask(&self, queue: Queue) -> Result<lapin::Queue, BrokerError> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        // A channel of its own, closed when it is dropped: a queue that is missing closes it as well.
        let channel = self.shared.taking.channel_now().await?;
        let declared = channel
            .queue_declare(queue.name().into(), passive, FieldTable::default())
            .await?;
        Ok(declared)
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    async fn publish(&self, queue: Queue, message: Message) -> Result<(), BrokerError> {
        self.shared.publish(Route::to(queue), message).await
    }

    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError> {
        let consumer = AmqpConsumer::start(self.shared.clone(), queue, prefetch).await?;
        Ok(Box::new(consumer))
    }

    async fn take(&self, queue: Queue) -> Result<Option<Delivery>, BrokerError> {
        let channel = self.channel().await?;
        let taken = channel
            .basic_get(queue.name().into(), BasicGetOptions::default())
            .await?;
        Ok(taken.map(|taken| deliver(self.shared.clone(), queue, channel, taken.delivery)))
    }

    async fn waiting(&self, queue: Queue) -> Result<u64, BrokerError> {
        Ok(self.ask(queue).await?.message_count().into())
    }

    async fn consumers(&self, queue: Queue) -> Result<u64, BrokerError> {
        Ok(self.ask(queue).await?.consumer_count().into())
    }

    fn is_connected(&self) -> bool {
        self.shared.publisher.link().is_connected() && self.shared.taking.is_connected()
    }

    fn peer(&self) -> Peer {
        self.peer.clone()
    }

    async fn close(&self) {
        self.shared.taking.close().await;
        self.shared.publisher.link().close().await;
    }
}

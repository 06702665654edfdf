//! The broker of `amqp://` and `amqps://`: RabbitMQ 3.10 to 4.x.
//!
//! One connection (`link`) that is made anew whenever it is lost; on it one channel that publishes (`publisher`)
//! and one for each consumer (`consumer`). lapin can recover connections by itself, but gives up after a
//! number of tries, replays what it remembers instead of what [`super::topology`] says, and leaves the confirms
//! that were on their way to its user; so Seedbed makes new connections and asks lapin for nothing else.

use std::sync::Arc;

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
    Broker, BrokerConfig, BrokerError, Consumer, Delivery, Message, Queue, topology::Route,
};

mod address;
mod consumer;
mod error;
mod link;
mod publisher;
mod wire;

/// See the module. Dropping it and all that came from it closes the connection.
pub struct AmqpBroker {
    shared: Arc<Shared>,
    /// The channel of [`Broker::take`].
    taking: Mutex<Option<Channel>>,
}

/// What consumers and deliveries need as well.
struct Shared {
    link: Link,
    publisher: Publisher,
    consumer_timeout: std::time::Duration,
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
        let address = address::resolve(config)?;
        let link = Link::open(address, config.connect_timeout).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                publisher: Publisher::start(link.clone()),
                link,
                consumer_timeout: config.consumer_timeout,
                runtime: Handle::current(),
            }),
            taking: Mutex::default(),
        })
    }

    async fn taking_channel(&self) -> Result<Channel, BrokerError> {
        let mut taking = self.taking.lock().await;
        if let Some(channel) = taking
            .as_ref()
            .filter(|channel| channel.status().connected())
        {
            return Ok(channel.clone());
        }
        Ok(taking.insert(self.shared.link.channel_now().await?).clone())
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
        let channel = self.taking_channel().await?;
        let taken = channel
            .basic_get(queue.name().into(), BasicGetOptions::default())
            .await?;
        Ok(taken.map(|taken| deliver(self.shared.clone(), queue, channel, taken.delivery)))
    }

    async fn waiting(&self, queue: Queue) -> Result<u64, BrokerError> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        // A channel of its own: a queue that is missing closes it.
        let channel = self.shared.link.channel_now().await?;
        let queue = channel
            .queue_declare(queue.name().into(), passive, FieldTable::default())
            .await?;
        Ok(queue.message_count().into())
    }

    fn is_connected(&self) -> bool {
        self.shared.link.is_connected()
    }

    async fn close(&self) {
        self.shared.link.close().await;
    }
}

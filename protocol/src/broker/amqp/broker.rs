//! The [`Broker`] on RabbitMQ.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::{
    Channel,
    options::{BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
};
use tokio::{runtime::Handle, sync::Mutex};

use super::{
    super::{
        config::BrokerConfig,
        contract::{Broker, Consumer, Delivery, Peer},
        envelope::Message,
        error::BrokerError,
        queue::Queue,
    },
    address,
    consumer::{AmqpConsumer, deliver},
    link::Link,
    publisher::Publisher,
    shared::Shared,
    topology::Route,
};

/// A RabbitMQ. Dropping it and all that came from it closes the connections.
pub struct AmqpBroker {
    shared: Arc<Shared>,
    /// The channel of [`Broker::take`].
    channel: Mutex<Option<Channel>>,
    peer: Peer,
}

impl AmqpBroker {
    /// Connects and declares the queues.
    ///
    /// # Errors
    /// [`BrokerError`]: at once when RabbitMQ refuses, after `config.connect_timeout` when it cannot be reached.
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

    /// Returns the channel of [`Broker::take`], a new one if there is none or it was lost.
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

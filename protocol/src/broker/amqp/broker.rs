//! The [`Broker`] on RabbitMQ.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future;
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
        trouble::Trouble,
    },
    address,
    consumer::{AmqpConsumer, deliver},
    link::{Line, Link},
    metrics,
    publisher::Publisher,
    shared::Shared,
    topology::{self, Route},
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
        let [publishing, taking] = lines(config)?;
        let (peer, patience) = (taking.address.peer(), config.connect_timeout);
        let publishing = Link::open(publishing, patience).await?;
        let taking = Link::open(taking, patience).await?;
        Ok(Self::on(config, peer, publishing, taking))
    }

    /// Connects in the background, however long that takes, and declares the queues then.
    ///
    /// # Errors
    /// [`BrokerError::Setting`].
    pub fn start(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let [publishing, taking] = lines(config)?;
        let peer = taking.address.peer();
        let (publishing, taking) = (Link::start(publishing), Link::start(taking));
        Ok(Self::on(config, peer, publishing, taking))
    }

    fn on(config: &BrokerConfig, peer: Peer, publishing: Link, taking: Link) -> Self {
        let shared = Arc::new(Shared {
            publisher: Publisher::start(publishing),
            taking,
            consumer_timeout: config.consumer_timeout,
            runtime: Handle::current(),
        });
        metrics::observe(&shared);
        Self {
            shared,
            channel: Mutex::default(),
            peer,
        }
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

    /// Asks for the queues `names`, which are declared again if one is missing.
    async fn ask(&self, names: &[String]) -> Result<Vec<lapin::Queue>, BrokerError> {
        match self.ask_once(names).await {
            Err(BrokerError::NotNow { .. }) => {
                self.declare_again().await?;
                self.ask_once(names).await
            }
            asked => asked,
        }
    }

    /// Declares everything while the program runs: what keeps it from that may pass.
    async fn declare_again(&self) -> Result<(), BrokerError> {
        let channel = self.shared.taking.channel_now().await?;
        topology::declare(&channel)
            .await
            .map_err(|error| match error {
                BrokerError::Topology { .. } => BrokerError::NotNow {
                    reason: error.to_string(),
                },
                error => error,
            })
    }

    async fn ask_once(&self, names: &[String]) -> Result<Vec<lapin::Queue>, BrokerError> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        // A channel of its own, closed when it is dropped: a queue that is missing closes it as well.
        let channel = self.shared.taking.channel_now().await?;
        let mut queues = Vec::new();
        for name in names {
            let declared =
                channel.queue_declare(name.as_str().into(), passive, FieldTable::default());
            queues.push(declared.await?);
        }
        Ok(queues)
    }

    async fn ask_one(&self, queue: Queue) -> Result<lapin::Queue, BrokerError> {
        let asked = self.ask(&[queue.name().to_owned()]).await?.pop();
        Ok(asked.expect("one answer for one name"))
    }

    async fn take_once(&self, queue: Queue) -> Result<Option<Delivery>, BrokerError> {
        let channel = self.channel().await?;
        let taken = channel
            .basic_get(queue.name().into(), BasicGetOptions::default())
            .await?;
        Ok(taken.map(|taken| deliver(self.shared.clone(), queue, channel, taken.delivery, None)))
    }
}

/// The two connections of a broker: one that publishes, and one that takes.
fn lines(config: &BrokerConfig) -> Result<[Line; 2], BrokerError> {
    let address = Arc::new(address::resolve(config)?);
    let line = |name, publishes| Line {
        address: address.clone(),
        name,
        publishes,
    };
    Ok([
        line("seedbed publishing", true),
        line("seedbed taking", false),
    ])
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
        match self.take_once(queue).await {
            Err(BrokerError::NotNow { .. }) => {
                self.declare_again().await?;
                self.take_once(queue).await
            }
            taken => taken,
        }
    }

    async fn waiting(&self, queue: Queue) -> Result<u64, BrokerError> {
        Ok(self.ask_one(queue).await?.message_count().into())
    }

    async fn held(&self, queue: Queue) -> Result<u64, BrokerError> {
        let delays = topology::delay_queues(queue);
        let names: Vec<String> = delays.chain([queue.name().to_owned()]).collect();
        let queues = self.ask(&names).await?;
        Ok(queues.iter().map(|q| u64::from(q.message_count())).sum())
    }

    async fn consumers(&self, queue: Queue) -> Result<u64, BrokerError> {
        Ok(self.ask_one(queue).await?.consumer_count().into())
    }

    fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble()
    }

    async fn probe(&self) -> Option<Trouble> {
        let publishing = self.shared.publisher.link().probe().await;
        publishing.or_else(|| self.shared.taking.trouble())
    }

    fn peer(&self) -> Peer {
        self.peer.clone()
    }

    async fn close(&self) {
        let publishing = self.shared.publisher.link();
        future::join(self.shared.taking.close(), publishing.close()).await;
    }
}

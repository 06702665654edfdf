//! Looks at a RabbitMQ without making anything there: what is missing, and whether it may be made.
//!
//! AMQP has no question for permissions. RabbitMQ checks them before it looks at what is asked for, so what is missing is
//! asked for in a way that RabbitMQ always refuses, and only the reason tells whether it was permitted.

use std::time::Duration;

use backon::Retryable;
use futures::StreamExt;
use lapin::{
    Connection, ErrorKind, Event, ExchangeKind,
    options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};

use super::{
    super::{config::BrokerConfig, error::BrokerError, queue::Queue, trouble::Trouble},
    address::{self, Address},
    link::{PROBE_TIMEOUT, in_time, pauses},
    topology::{self, BOUND, DEAD_EXCHANGE, refused},
    watching::publish_probe,
};

/// The exchange by which programs publish, as permissions name it.
const PUBLISHED_BY: &str = "amq.default";

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// How many queues are still to be made.
    pub missing: usize,
    /// Jobs that wait for a worker.
    pub waiting: u64,
    /// Jobs that are parked.
    pub parked: u64,
    /// What keeps it from taking messages.
    pub trouble: Option<Trouble>,
}

/// Looks at everything that programs declare, and at whether they may declare and publish. Leaves nothing behind, also
/// when it is killed.
///
/// # Errors
/// [`BrokerError`]: at once when RabbitMQ refuses, after `config.connect_timeout` when it cannot be reached.
pub async fn survey(config: &BrokerConfig) -> Result<Survey, BrokerError> {
    let address = address::resolve(config)?;
    let looked = (|| look(&address))
        .retry(pauses().with_total_delay(Some(config.connect_timeout)))
        .when(BrokerError::is_transient);
    let (connection, mut survey) = looked.await?;
    // Last: a server that is short of something reads nothing more from a connection that has published.
    survey.trouble = publishes(&connection).await?;
    if survey.trouble.is_none() {
        // Fails if it has ended already.
        let _ = connection.close(200, "OK".into()).await;
    }
    Ok(survey)
}

async fn look(address: &Address) -> Result<(Connection, Survey), BrokerError> {
    in_time(address, async {
        let connection = address.dial("seedbed check").await?;
        let survey = declared(&connection).await?;
        Ok((connection, survey))
    })
    .await
}

async fn declared(connection: &Connection) -> Result<Survey, BrokerError> {
    let mut survey = Survey {
        missing: 0,
        waiting: 0,
        parked: 0,
        trouble: None,
    };
    let has_exchange = exchange_is_there(connection).await?;
    if !has_exchange {
        may_make_exchange(connection).await?;
    }
    for (name, arguments) in topology::queues() {
        let Some(queue) = there(connection, &name).await? else {
            survey.missing += 1;
            may_make(connection, &name, arguments).await?;
            continue;
        };
        // One with other arguments is refused.
        let channel = connection.create_channel().await?;
        let same = channel.queue_declare(
            name.as_str().into(),
            QueueDeclareOptions::durable(),
            arguments,
        );
        same.await.map_err(|e| refused("queue", &name, &e))?;
        let messages = u64::from(queue.message_count());
        match name {
            name if name == Queue::Jobs.name() => survey.waiting = messages,
            name if name == Queue::ParkedJobs.name() => survey.parked = messages,
            _ => {}
        }
    }
    for queue in BOUND {
        may_bind(connection, queue).await?;
    }
    Ok(survey)
}

/// Returns the names of all queues that programs declare.
pub fn declared_queues() -> Vec<String> {
    topology::queues().map(|(name, _)| name).collect()
}

async fn exchange_is_there(connection: &Connection) -> Result<bool, BrokerError> {
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let asked = declare_exchange(connection, passive, FieldTable::default()).await;
    unless_missing(asked).map(|there| there.is_some())
}

/// Asks for the exchange with an argument of a type that RabbitMQ refuses.
async fn may_make_exchange(connection: &Connection) -> Result<(), BrokerError> {
    let mut arguments = FieldTable::default();
    arguments.insert("alternate-exchange".into(), 0.into());
    let asked = declare_exchange(connection, ExchangeDeclareOptions::default(), arguments).await;
    only_as_asked(asked).map_err(|e| refused("exchange", DEAD_EXCHANGE, &e))
}

async fn declare_exchange(
    connection: &Connection,
    options: ExchangeDeclareOptions,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    let (name, kind) = (DEAD_EXCHANGE.into(), ExchangeKind::Direct);
    channel
        .exchange_declare(name, kind, options, arguments)
        .await
}

async fn there(connection: &Connection, name: &str) -> Result<Option<lapin::Queue>, BrokerError> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let channel = connection.create_channel().await?;
    let asked = channel.queue_declare(name.into(), passive, FieldTable::default());
    unless_missing(asked.await)
}

/// Asks for a quorum queue that is this connection's alone, which RabbitMQ refuses; another server would remove it with
/// the connection.
async fn may_make(
    connection: &Connection,
    name: &str,
    arguments: FieldTable,
) -> Result<(), BrokerError> {
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::durable()
    };
    let channel = connection.create_channel().await?;
    let asked = channel.queue_declare(name.into(), exclusive, arguments);
    let asked = asked.await.map(drop);
    only_as_asked(asked).map_err(|e| refused("queue", name, &e))
}

/// Binds what is there already, and asks whether it may where something is missing.
async fn may_bind(connection: &Connection, queue: Queue) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await?;
    let bound = topology::bind(&channel, queue).await;
    match bound {
        Err(error) if is(&error, &AMQPSoftError::NOTFOUND) => Ok(()),
        bound => bound.map_err(|e| refused("queue", queue.name(), &e)),
    }
}

/// Publishes a message that RabbitMQ drops, and returns what keeps it from taking any.
async fn publishes(connection: &Connection) -> Result<Option<Trouble>, BrokerError> {
    let mut events = connection.events_listener();
    let blocked = async {
        while let Some(event) = events.next().await {
            if let Event::ConnectionBlocked(reason) = event {
                return Trouble::blocked(reason);
            }
        }
        std::future::pending().await
    };
    let confirmed = async {
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let confirmation = publish_probe(&channel).await?;
        confirmation.await?;
        // RabbitMQ takes the first message of a connection even during an alarm, and reads nothing after it: a second
        // channel is then not opened.
        connection.create_channel().await.map(drop)
    };
    tokio::select! {
        trouble = blocked => Ok(Some(trouble)),
        confirmed = confirmed => match confirmed {
            Ok(()) => Ok(None),
            Err(error) => Err(refused("exchange", PUBLISHED_BY, &error)),
        },
        () = tokio::time::sleep(PROBE_TIMEOUT) => Ok(Some(Trouble::away(no_answer(PROBE_TIMEOUT)))),
    }
}

fn no_answer(within: Duration) -> String {
    format!("no message was confirmed within {within:?}")
}

/// Says whether something is there.
fn unless_missing<T>(asked: lapin::Result<T>) -> Result<Option<T>, BrokerError> {
    match asked {
        Ok(there) => Ok(Some(there)),
        Err(error) if is(&error, &AMQPSoftError::NOTFOUND) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes the refusal of what cannot be made for the permission to make what can.
fn only_as_asked(asked: lapin::Result<()>) -> lapin::Result<()> {
    let Err(error) = asked else {
        return Ok(());
    };
    let reason = error.to_string();
    let as_asked = is(&error, &AMQPSoftError::PRECONDITIONFAILED) && reason.contains("invalid ");
    // It was missing a moment ago: a program that starts just now has made it.
    let is_made = reason.contains("inequivalent ") || is(&error, &AMQPSoftError::RESOURCELOCKED);
    match as_asked || is_made {
        true => Ok(()),
        false => Err(error),
    }
}

fn is(error: &lapin::Error, kind: &AMQPSoftError) -> bool {
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        return false;
    };
    matches!(protocol.kind(), AMQPErrorKind::Soft(soft) if soft == kind)
}

//! Watches an open connection: whether it is lost, and whether RabbitMQ, short of memory or disk, blocks it.
//!
//! RabbitMQ tells a connection that it is blocked only after that has published something
//! (<https://www.rabbitmq.com/docs/connection-blocked>), and a program may have nothing to publish for hours. So a small
//! message that no queue takes, and RabbitMQ drops, is published every few seconds.

use std::time::Duration;

use futures::StreamExt;
use lapin::{BasicProperties, Channel, Connection, Event, options::BasicPublishOptions};

use super::{
    super::error::BrokerError,
    topology::{self, DEFAULT_EXCHANGE},
};

/// How often to look whether the connection is still up.
const STATUS_POLL: Duration = Duration::from_millis(200);

/// Between two probes: a block is known within that time.
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// After so many probes, everything is declared again: nothing tells of an exchange or a delay queue that was deleted.
const PROBES_PER_DECLARATION: u32 = 10;

/// The routing key of probes, which no queue has.
const PROBE_KEY: &str = "seed.probe";

/// Completes when `connection` is lost. lapin reports some ends as events, but not that the server closed the
/// connection, so this looks at its state.
pub(super) async fn ended(connection: &Connection) {
    while connection.status().connected() {
        tokio::time::sleep(STATUS_POLL).await;
    }
}

/// Does the same for a connection that publishes. Meanwhile says what RabbitMQ is short of when it blocks the connection,
/// and `None` when it takes messages again.
pub(super) async fn publishing(connection: &Connection, note: impl Fn(Option<String>)) {
    let mut events = connection.events_listener();
    let noting = async {
        while let Some(event) = events.next().await {
            match event {
                Event::ConnectionBlocked(reason) => {
                    tracing::warn!(
                        reason,
                        "RabbitMQ takes no messages until its alarm ends; publishing waits"
                    );
                    note(Some(reason));
                }
                Event::ConnectionUnblocked => {
                    tracing::info!("RabbitMQ takes messages again; publishing continues");
                    note(None);
                }
                _ => {}
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        () = ended(connection) => {}
        () = noting => {}
        () = keep_probing(connection) => {}
    }
}

async fn keep_probing(connection: &Connection) {
    loop {
        if let Err(error) = probe_for_a_while(connection).await {
            tracing::warn!(%error, "RabbitMQ does not do all that Seedbed needs; trying again");
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

/// Declares everything and then probes, over one channel.
async fn probe_for_a_while(connection: &Connection) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await?;
    topology::declare(&channel).await?;
    for _ in 0..PROBES_PER_DECLARATION {
        publish_probe(&channel).await?;
        tokio::time::sleep(PROBE_PAUSE).await;
    }
    Ok(())
}

/// Publishes a message that RabbitMQ drops.
pub(super) async fn publish_probe(channel: &Channel) -> Result<(), BrokerError> {
    channel
        .basic_publish(
            DEFAULT_EXCHANGE.into(),
            PROBE_KEY.into(),
            BasicPublishOptions::default(),
            &[],
            BasicProperties::default(),
        )
        .await?;
    Ok(())
}

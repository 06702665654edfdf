//! Watches an open connection: whether it is lost, and whether RabbitMQ, short of memory or disk, blocks it.
//!
//! RabbitMQ tells a connection that it is blocked only after that has published something
//! (<https://www.rabbitmq.com/docs/connection-blocked>), and a program may have nothing to publish for hours. So a small
//! message that no queue takes, and RabbitMQ drops, is published every few seconds.

use std::time::Duration;

use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, Event, PublisherConfirm, options::BasicPublishOptions,
};

use super::{
    super::{error::BrokerError, trouble::Trouble},
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

/// How an open connection is.
#[derive(Clone, Default)]
pub(super) struct Health {
    /// What RabbitMQ is short of, while it blocks the connection.
    pub(super) blocked: Option<String>,
    /// What RabbitMQ refuses.
    refused: Option<String>,
}

impl Health {
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let blocked = self.blocked.as_ref().map(Trouble::blocked);
        blocked.or_else(|| self.refused.as_ref().map(Trouble::refused))
    }
}

/// Does the same for a connection that publishes. Meanwhile calls `change` with what becomes of its health.
pub(super) async fn publishing(
    connection: &Connection,
    change: impl Fn(&dyn Fn(&mut Health)) + Copy,
) {
    let mut events = connection.events_listener();
    let noting = async {
        while let Some(event) = events.next().await {
            match event {
                Event::ConnectionBlocked(reason) => {
                    tracing::warn!(
                        reason,
                        "RabbitMQ takes no messages until its alarm ends; publishing waits"
                    );
                    change(&|health| health.blocked = Some(reason.clone()));
                }
                Event::ConnectionUnblocked => {
                    tracing::info!("RabbitMQ takes messages again; publishing continues");
                    change(&|health| health.blocked = None);
                }
                _ => {}
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = ended(connection) => {}
        () = noting => {}
        () = keep_probing(connection, change) => {}
    }
}

async fn keep_probing(connection: &Connection, change: impl Fn(&dyn Fn(&mut Health)) + Copy) {
    let mut refused = None;
    loop {
        let probed = probe_for_a_while(connection, || {
            if refused.take().is_some() {
                tracing::info!("RabbitMQ does again what is needed");
                change(&|health| health.refused = None);
            }
        });
        match probed.await {
            Ok(()) | Err(BrokerError::Lost { .. }) => {}
            Err(error) => {
                let reason = error.to_string();
                if refused.as_ref() != Some(&reason) {
                    tracing::warn!(%error, "RabbitMQ does not do all that is needed; trying again");
                    change(&|health| health.refused = Some(reason.clone()));
                    refused = Some(reason);
                }
            }
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

/// Declares everything and then probes, over one channel. Calls `well` when a probe has passed.
async fn probe_for_a_while(
    connection: &Connection,
    mut well: impl FnMut(),
) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await?;
    topology::declare(&channel).await?;
    for passed in 0..PROBES_PER_DECLARATION {
        publish_probe(&channel).await?;
        // A refusal of the probe shows with the next one.
        if passed > 0 {
            well();
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
    Ok(())
}

/// Publishes a message that RabbitMQ drops.
pub(super) async fn publish_probe(channel: &Channel) -> lapin::Result<PublisherConfirm> {
    let (exchange, key) = (DEFAULT_EXCHANGE.into(), PROBE_KEY.into());
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(exchange, key, options, &[], BasicProperties::default())
        .await
}

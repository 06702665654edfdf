//! What only RabbitMQ can do to a broker: lose connections, restart, refuse, and hold what others published.

use std::{sync::Arc, time::Duration};

use lapin::{Channel, Connection, ConnectionProperties};
use seedbed_protocol::broker::{Broker, BrokerConfig, BrokerUrl, connect};

/// Long enough for a server to restart on a busy machine.
pub(super) const SOON: Duration = Duration::from_secs(60);

pub(super) async fn connected(url: &str) -> Arc<dyn Broker> {
    connect(&config(url)).await.unwrap()
}

pub(super) fn config(url: &str) -> BrokerConfig {
    BrokerConfig::new(BrokerUrl::new(url).unwrap())
}

/// A channel of a program that is not Seedbed.
pub(in crate::cluster) async fn other_program(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

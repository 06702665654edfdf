//! What the broker, its consumers and their deliveries share.

use std::time::Duration;

use tokio::runtime::Handle;

use super::{
    super::{envelope::Message, error::BrokerError, trouble::Trouble},
    link::Link,
    publisher::Publisher,
    topology::Route,
    wire::Letter,
};

pub(super) struct Shared {
    pub(super) publisher: Publisher,
    /// The connection that messages are taken from.
    pub(super) taking: Link,
    pub(super) consumer_timeout: Duration,
    /// Where a dropped delivery, which may be dropped on any thread, gives its message back.
    pub(super) runtime: Handle,
}

impl Shared {
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let publishing = self.publisher.link().trouble();
        publishing.or_else(|| self.taking.trouble())
    }

    pub(super) async fn publish(&self, route: Route, message: Message) -> Result<(), BrokerError> {
        self.publisher.publish(Letter::new(route, message)).await
    }
}

//! One connection to RabbitMQ that is restored whenever it is lost.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use lapin::{Channel, Connection};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{super::error::BrokerError, address::Address, topology};

/// How long one try at a connection may take before it counts as failed.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to close in order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look whether the connection is still up.
const STATUS_POLL: Duration = Duration::from_millis(200);

/// Returns the backoff between tries, with jitter, so that not every program reaches a restarted server at once.
pub(super) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(15))
        .with_jitter()
        .without_max_times()
}

/// A connection that is restored whenever it is lost.
#[derive(Clone)]
pub(super) struct Link {
    /// The connection, if there is one now. The sender is the task that keeps it open.
    connections: watch::Receiver<Option<Arc<Connection>>>,
    closed: CancellationToken,
}

impl Link {
    /// Connects under a name for RabbitMQ's lists, and keeps the connection open until the last clone is
    /// dropped or closed.
    ///
    /// # Errors
    /// At once when RabbitMQ refuses, after about `patience` when it cannot be reached.
    pub(super) async fn open(
        address: Arc<Address>,
        name: &'static str,
        patience: Duration,
    ) -> Result<Self, BrokerError> {
        let first = (|| dial(&address, name))
            .retry(pauses().with_total_delay(Some(patience)))
            .when(BrokerError::is_transient)
            .await?;
        let (sender, connections) = watch::channel(Some(Arc::new(first)));
        let closed = CancellationToken::new();
        tokio::spawn(keep_open(address, name, sender, closed.clone()));
        Ok(Self {
            connections,
            closed,
        })
    }

    pub(super) fn is_connected(&self) -> bool {
        let connection = self.connections.borrow();
        connection
            .as_ref()
            .is_some_and(|connection| connection.status().connected())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Opens a channel; waits for a connection.
    ///
    /// # Errors
    /// [`BrokerError::Closed`].
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        let open = || async {
            let mut connections = self.connections.clone();
            // Fails when the task that connects has ended, as it does when the link is closed.
            let connection = connections.wait_for(Option::is_some).await;
            let connection = connection.map_err(|_| BrokerError::Closed)?.clone();
            let connection = connection.ok_or(BrokerError::Closed)?;
            connection.create_channel().await.map_err(BrokerError::from)
        };
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(BrokerError::Closed),
            channel = open.retry(pauses()).when(BrokerError::is_transient) => channel,
        }
    }

    /// Opens a channel on the present connection.
    ///
    /// # Errors
    /// [`BrokerError::Lost`] when there is none, [`BrokerError::Closed`].
    pub(super) async fn channel_now(&self) -> Result<Channel, BrokerError> {
        if self.is_closed() {
            return Err(BrokerError::Closed);
        }
        let connection = self.connections.borrow().clone();
        let connection = connection.ok_or_else(|| BrokerError::Lost {
            reason: "not connected".to_owned(),
        })?;
        Ok(connection.create_channel().await?)
    }

    /// Ends everything on the connection, and the connection.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        let mut connections = self.connections.clone();
        // Fails once the task has ended, after it has closed the connection.
        while connections.changed().await.is_ok() {}
    }
}

/// Replaces the connection whenever it is lost, until the last user is gone.
async fn keep_open(
    address: Arc<Address>,
    name: &'static str,
    connections: watch::Sender<Option<Arc<Connection>>>,
    closed: CancellationToken,
) {
    loop {
        let connection = connections.borrow().clone();
        if let Some(connection) = connection {
            tokio::select! {
                () = ended(&connection) => {}
                () = connections.closed() => return,
                () = closed.cancelled() => {
                    // Fails if it has ended already; does not return while RabbitMQ blocks the connection.
                    let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "OK".into())).await;
                    return;
                }
            }
            tracing::warn!(name, "lost the connection to RabbitMQ; connecting again");
        }
        connections.send_replace(None);
        let again = (|| dial(&address, name))
            .retry(pauses())
            .notify(|error, pause| tracing::warn!(name, %error, ?pause, "trying again"));
        tokio::select! {
            // Without a limit to its tries, it ends with a connection only.
            connection = again => {
                connections.send_replace(connection.ok().map(Arc::new));
                tracing::info!(name, "connected to RabbitMQ again");
            }
            () = connections.closed() => return,
            () = closed.cancelled() => return,
        }
    }
}

/// Makes one try at a connection with everything declared.
async fn dial(address: &Address, name: &'static str) -> Result<Connection, BrokerError> {
    let dial = async {
        let connection = address.dial(name).await?;
        topology::declare(&connection.create_channel().await?).await?;
        Ok(connection)
    };
    timeout(DIAL_TIMEOUT, dial)
        .await
        .unwrap_or_else(|_| Err(address.unreachable(format!("no answer within {DIAL_TIMEOUT:?}"))))
}

/// Completes when `connection` is lost. lapin reports some ends as events, but not that the server closed the
/// connection, so this looks at its state.
async fn ended(connection: &Connection) {
    while connection.status().connected() {
        tokio::time::sleep(STATUS_POLL).await;
    }
}

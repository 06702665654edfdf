//! One connection to RabbitMQ that is restored whenever it is lost, and what is known of it.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use lapin::{Channel, Connection, options::BasicQosOptions};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    super::{error::BrokerError, trouble::Trouble},
    address::Address,
    topology,
    watching::{self, Health, publish_probe},
};

/// How long one try at a connection may take before it counts as failed.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long RabbitMQ may take to answer a short request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to close in order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long RabbitMQ may take to say that it blocks publishers.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the backoff between tries, with jitter, so that not every program reaches a restarted server at once.
pub(super) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
}

/// Where a connection leads to, and what it is for.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) address: Arc<Address>,
    /// Its name in RabbitMQ's lists.
    pub(super) name: &'static str,
    /// Whether messages are published over it, so that RabbitMQ may block it.
    pub(super) publishes: bool,
}

/// What is known of a connection.
#[derive(Clone)]
enum State {
    Open {
        connection: Arc<Connection>,
        health: Health,
    },
    /// There is none now. What the last try said.
    Away { reason: String },
    /// RabbitMQ refused the first connection, for a reason that does not pass. No other try is made.
    Refused(BrokerError),
}

/// A connection that is restored whenever it is lost.
#[derive(Clone)]
pub(super) struct Link {
    /// The sender is the task that keeps the connection open.
    states: watch::Receiver<State>,
    closed: CancellationToken,
}

impl Link {
    /// Connects, and keeps the connection open until the last clone is dropped or closed.
    ///
    /// # Errors
    /// At once when RabbitMQ refuses, after about `patience` when it cannot be reached.
    pub(super) async fn open(line: Line, patience: Duration) -> Result<Self, BrokerError> {
        let connection = (|| dial(&line))
            .retry(pauses().with_total_delay(Some(patience)))
            .when(BrokerError::is_transient)
            .await?;
        Ok(Self::keep(line, opened(connection)))
    }

    /// Connects in the background, however long that takes, and keeps the connection open as [`Self::open`] does. Ends
    /// if RabbitMQ refuses the first connection for a reason that does not pass.
    pub(super) fn start(line: Line) -> Self {
        let reason = "not connected yet".to_owned();
        Self::keep(line, State::Away { reason })
    }

    fn keep(line: Line, state: State) -> Self {
        let (sender, states) = watch::channel(state);
        let closed = CancellationToken::new();
        tokio::spawn(keep_open(line, sender, closed.clone()));
        Self { states, closed }
    }

    /// Returns what keeps it from being used, if anything does.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        if self.closed.is_cancelled() {
            return Some(Trouble::away("it is closed"));
        }
        match &*self.states.borrow() {
            State::Open { connection, .. } if !connection.status().connected() => {
                Some(Trouble::away("the connection was lost"))
            }
            State::Open { health, .. } => health.trouble(),
            State::Away { reason } => Some(Trouble::away(reason)),
            State::Refused(error) => Some(Trouble::away(error)),
        }
    }

    /// Returns why there will never be a connection again, if it has ended.
    pub(super) fn end(&self) -> Option<BrokerError> {
        if self.closed.is_cancelled() {
            return Some(BrokerError::Closed);
        }
        match &*self.states.borrow() {
            State::Refused(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Completes when it is closed.
    pub(super) async fn closing(&self) {
        self.closed.cancelled().await;
    }

    /// Opens a channel; waits for a connection.
    ///
    /// # Errors
    /// [`Self::end`].
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        let open = || async {
            let mut states = self.states.clone();
            let state = states.wait_for(|state| !matches!(state, State::Away { .. }));
            // Fails when the task that connects has ended, as it does when the link is closed.
            let state = state.await.map_err(|_| BrokerError::Closed)?.clone();
            match state {
                State::Open { connection, .. } => Ok(connection.create_channel().await?),
                State::Refused(error) => Err(error),
                State::Away { .. } => Err(BrokerError::Closed),
            }
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
    /// [`BrokerError::Lost`] when there is none, or it does not answer; [`Self::end`].
    pub(super) async fn channel_now(&self) -> Result<Channel, BrokerError> {
        if let Some(end) = self.end() {
            return Err(end);
        }
        let connection = match &*self.states.borrow() {
            State::Open { connection, .. } => connection.clone(),
            State::Away { .. } | State::Refused(_) => return Err(lost("not connected")),
        };
        match timeout(ANSWER_TIMEOUT, connection.create_channel()).await {
            Ok(channel) => Ok(channel?),
            Err(_) => Err(lost("no answer")),
        }
    }

    /// Asks RabbitMQ whether it takes messages, and returns what is wrong. A server that is short of memory or disk
    /// tells a connection as soon as that publishes, and answers no further request of it.
    pub(super) async fn probe(&self) -> Option<Trouble> {
        let asked = async {
            let channel = self.channel_now().await?;
            publish_probe(&channel).await?;
            let qos = channel.basic_qos(1, BasicQosOptions::default());
            Ok::<_, BrokerError>(qos.await?)
        };
        let mut states = self.states.clone();
        tokio::select! {
            _ = asked => {}
            _ = states.wait_for(|state| matches!(state, State::Open { health, .. } if health.blocked.is_some())) => {}
            () = tokio::time::sleep(PROBE_TIMEOUT) => {}
        }
        self.trouble()
    }

    /// Ends everything on the connection, and the connection.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        let mut states = self.states.clone();
        // Fails once the task has ended, after it has closed the connection.
        while states.changed().await.is_ok() {}
    }
}

fn opened(connection: Connection) -> State {
    State::Open {
        connection: Arc::new(connection),
        health: Health::default(),
    }
}

fn lost(reason: &str) -> BrokerError {
    let reason = reason.to_owned();
    BrokerError::Lost { reason }
}

/// Replaces the connection whenever it is lost, until the last user is gone.
async fn keep_open(line: Line, states: watch::Sender<State>, closed: CancellationToken) {
    let name = line.name;
    let mut was_open = false;
    // The reason that was logged last: one line is enough for each.
    let mut told = String::new();
    loop {
        let connection = match &*states.borrow() {
            State::Open { connection, .. } => Some(connection.clone()),
            State::Away { .. } | State::Refused(_) => None,
        };
        if let Some(connection) = connection {
            was_open = true;
            tokio::select! {
                () = watch_over(&line, &connection, &states) => {}
                () = states.closed() => return,
                () = closed.cancelled() => return close(&connection).await,
            }
            tracing::warn!(name, "lost the connection to RabbitMQ; connecting again");
            let reason = "the connection was lost".to_owned();
            states.send_replace(State::Away { reason });
        }
        let again = (|| dial(&line))
            .retry(pauses())
            .when(|error| was_open || error.may_pass())
            .notify(|error, _| {
                let reason = error.to_string();
                if reason != told {
                    tracing::warn!(name, %error, "no connection to RabbitMQ; trying again");
                    told.clone_from(&reason);
                }
                states.send_replace(State::Away { reason });
            });
        tokio::select! {
            connection = again => match connection {
                Ok(connection) => {
                    tracing::info!(name, "connected to RabbitMQ");
                    told.clear();
                    states.send_replace(opened(connection));
                }
                Err(error) => {
                    states.send_replace(State::Refused(error));
                    return states.closed().await;
                }
            },
            () = states.closed() => return,
            () = closed.cancelled() => return,
        }
    }
}

/// Notes how the connection is, until it is lost.
async fn watch_over(line: &Line, connection: &Connection, states: &watch::Sender<State>) {
    let change = |change: &dyn Fn(&mut Health)| {
        states.send_modify(|state| {
            if let State::Open { health, .. } = state {
                change(health);
            }
        });
    };
    if line.publishes {
        watching::publishing(connection, change).await;
    } else {
        watching::ended(connection).await;
    }
}

/// Closes in order, unless RabbitMQ reads nothing from the connection.
async fn close(connection: &Connection) {
    if connection.status().blocked() {
        return;
    }
    // Fails if it has ended already; does not return if RabbitMQ blocks it just now.
    let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "OK".into())).await;
}

/// Makes one try at a connection with everything declared.
async fn dial(line: &Line) -> Result<Connection, BrokerError> {
    let dial = async {
        let connection = line.address.dial(line.name).await?;
        topology::declare(&connection.create_channel().await?).await?;
        Ok(connection)
    };
    in_time(&line.address, dial).await
}

/// Gives up on a server that does not answer within [`DIAL_TIMEOUT`].
pub(super) async fn in_time<T>(
    address: &Address,
    asked: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    timeout(DIAL_TIMEOUT, asked).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {DIAL_TIMEOUT:?}");
        Err(address.unreachable(reason))
    })
}

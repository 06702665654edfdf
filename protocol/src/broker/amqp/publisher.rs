//! Publishes with publisher confirms, many messages a round trip.
//!
//! Messages are published in groups: all that have come in while the last group was being confirmed. A group
//! is answered when all its confirms are in, and not before, because RabbitMQ returns a message without a queue
//! before it confirms it, and lapin hands the returned message to whichever confirm comes next.

use std::collections::HashSet;

use backon::BackoffBuilder;
use futures::future::join_all;
use lapin::{
    Channel, Confirmation,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    super::error::BrokerError,
    link::{Link, pauses},
    topology::{self, DEFAULT_EXCHANGE},
    wire::{self, Letter},
};

/// Messages in one group: enough to hide the round trip, few enough to be sent again after a lost connection.
const GROUP: usize = 1000;

/// Publishes what it is given, one group after the other, in a task that ends when this is dropped.
pub(super) struct Publisher {
    link: Link,
    requests: mpsc::Sender<Request>,
}

/// One message and the caller that waits for its confirm.
struct Request {
    letter: Letter,
    answer: oneshot::Sender<Result<(), BrokerError>>,
}

impl Publisher {
    pub(super) fn start(link: Link) -> Self {
        let (requests, incoming) = mpsc::channel(GROUP);
        tokio::spawn(publish_all(link.clone(), incoming));
        Self { link, requests }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Completes when RabbitMQ has stored the message; waits for a server that is away, blocks its publishers, or refuses
    /// for a reason that may pass.
    ///
    /// # Errors
    /// [`BrokerError`] when the message may not have been stored: the broker is closed, or the message is refused for
    /// good.
    pub(super) async fn publish(&self, letter: Letter) -> Result<(), BrokerError> {
        let (answer, answered) = oneshot::channel();
        let publishing = async {
            let handed_over = self.requests.send(Request { letter, answer }).await;
            handed_over.map_err(|_| BrokerError::Closed)?;
            answered.await.map_err(|_| BrokerError::Closed)?
        };
        tokio::select! {
            published = publishing => published,
            // RabbitMQ may block the connection, and then ends nothing on it.
            () = self.link.closing() => Err(BrokerError::Closed),
        }
    }
}

async fn publish_all(link: Link, mut incoming: mpsc::Receiver<Request>) {
    let mut channel = None;
    let mut group = Vec::new();
    while incoming.recv_many(&mut group, GROUP).await > 0 {
        let mut pauses = pauses().build();
        loop {
            if !publish_group(&link, &mut channel, &mut group).await {
                channel = None;
            }
            // A caller that was cancelled does not count on the message.
            group.retain(|request| !request.answer.is_closed());
            if group.is_empty() {
                break;
            }
            let pause = pauses.next().unwrap_or_default();
            tokio::time::sleep(pause).await;
        }
    }
}

/// Publishes `group` once, answers what is decided, and leaves in `group` what has to be sent again. Returns
/// whether the channel is still good.
async fn publish_group(
    link: &Link,
    channel: &mut Option<Channel>,
    group: &mut Vec<Request>,
) -> bool {
    let channel = match channel {
        Some(channel) => channel,
        None => match open(link).await {
            Ok(opened) => channel.insert(opened),
            Err(error) => {
                match link.end() {
                    Some(end) => answer_all(group, &end),
                    None => tracing::warn!(%error, "cannot publish now"),
                }
                return false;
            }
        },
    };
    let confirms = join_all(
        group
            .iter()
            .map(|request| publish(channel, &request.letter)),
    )
    .await;
    let returned: HashSet<String> = confirms.iter().filter_map(returned_id).collect();
    // The next channel declares what is gone.
    let is_good = returned.is_empty() && confirms.iter().all(Result::is_ok);
    if let Some(Err(error)) = confirms.iter().find(|confirm| confirm.is_err()) {
        tracing::warn!(%error, "cannot publish now");
    } else if !returned.is_empty() {
        tracing::warn!("a queue is missing, and is declared again");
    }
    for (request, confirm) in std::mem::take(group).into_iter().zip(confirms) {
        let is_returned = request.letter.id().is_some_and(|id| returned.contains(id));
        let answer = match confirm {
            Ok(Confirmation::Ack(_)) if !is_returned => Some(Ok(())),
            Ok(_) => None,
            Err(error) => (!error.is_transient()).then_some(Err(error)),
        };
        match answer {
            // The caller may have been cancelled.
            Some(answer) => drop(request.answer.send(answer)),
            None => group.push(request),
        }
    }
    is_good
}

fn answer_all(group: &mut Vec<Request>, error: &BrokerError) {
    for request in group.drain(..) {
        // The caller may have been cancelled.
        let _ = request.answer.send(Err(error.clone()));
    }
}

async fn open(link: &Link) -> Result<Channel, BrokerError> {
    let channel = link.channel().await?;
    topology::declare(&channel).await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(channel)
}

async fn publish(channel: &Channel, letter: &Letter) -> Result<Confirmation, BrokerError> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let confirm = channel
        .basic_publish(
            DEFAULT_EXCHANGE.into(),
            letter.queue.as_str().into(),
            mandatory,
            &letter.body,
            letter.properties.clone(),
        )
        .await?;
    Ok(confirm.await?)
}

/// Returns the message id in a confirm that brings a returned message, its own or another one.
fn returned_id(confirm: &Result<Confirmation, BrokerError>) -> Option<String> {
    let returned: &BasicReturnMessage = match confirm {
        Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) => message,
        _ => return None,
    };
    wire::id(&returned.delivery.properties).map(str::to_owned)
}

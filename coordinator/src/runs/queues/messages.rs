//! Takes pages of waiting messages out of a queue, removes those of some jobs and returns the others; and collects what a
//! consumer has at once.

use std::collections::HashSet;

use futures::{FutureExt, future::try_join_all};
use seedbed_protocol::{
    JobId, StoreId,
    broker::{Broker, BrokerError, Consumer, Delivery, Queue, patience::trouble},
};

use crate::runs::error::RunError;

/// Messages that are looked up in the catalog, and settled, at a time. RabbitMQ passes 32 settlements of a channel on
/// to a quorum queue before it waits for the queue's answer, and forgets those that still wait when the channel closes
/// (`SOFT_LIMIT` in rabbit_fifo_client): then messages of cancelled jobs would come back.
const MESSAGE_PAGE: usize = 30;

/// The oldest messages of `queue`, at most `limit` and at most a page.
pub(in crate::runs) async fn take_page(
    broker: &dyn Broker,
    queue: Queue,
    limit: u64,
) -> Result<Vec<Delivery>, BrokerError> {
    let mut page = Vec::new();
    while page.len() < MESSAGE_PAGE && (page.len() as u64) < limit {
        match broker.take(queue).await? {
            Some(delivery) => page.push(delivery),
            None => break,
        }
    }
    Ok(page)
}

/// Acknowledges the messages of these jobs and returns the others to the queue, all at once.
pub(in crate::runs) async fn settle_page(
    page: Vec<Delivery>,
    over: &HashSet<JobId>,
) -> Result<(), BrokerError> {
    let is_over = |delivery: &Delivery| job_id(delivery).is_some_and(|job| over.contains(&job));
    remove_from_page(page, is_over).await.map(drop)
}

/// Acknowledges the messages that `is_over` names and returns the others to the queue, all at once; returns how many it
/// acknowledged.
async fn remove_from_page(
    page: Vec<Delivery>,
    is_over: impl Fn(&Delivery) -> bool,
) -> Result<u64, BrokerError> {
    let settling = page.into_iter().map(async |delivery| {
        if is_over(&delivery) {
            delivery.ack().await.map(|()| 1)
        } else {
            delivery.hand_back().await.map(|()| 0)
        }
    });
    Ok(try_join_all(settling).await?.iter().sum())
}

/// Removes the messages of a store from `queue`, as far as they wait there; returns how many there were.
pub(in crate::runs) async fn remove_of_store(
    broker: &dyn Broker,
    queue: Queue,
    store_id: &StoreId,
) -> Result<u64, BrokerError> {
    let (mut left, mut removed) = (broker.waiting(queue).await?, 0);
    while left > 0 {
        let page = take_page(broker, queue, left).await?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        let of_store = |delivery: &Delivery| {
            let subject = delivery.message.headers.subject.as_ref();
            subject.is_some_and(|subject| subject.store_id == *store_id)
        };
        removed += remove_from_page(page, of_store).await?;
    }
    Ok(removed)
}

/// Does `work` with the broker's messages, unless there is trouble with it. Returns why the work was not done, if it was not.
///
/// # Errors
/// Those of the catalog.
pub(crate) async fn if_broker_answers(
    broker: &dyn Broker,
    work: impl Future<Output = Result<(), RunError>>,
) -> Result<Option<String>, RunError> {
    let done = tokio::select! {
        biased;
        trouble = trouble(broker) => return Ok(Some(trouble.to_string())),
        done = work => done,
    };
    match done {
        Ok(()) => Ok(None),
        Err(RunError::Broker(error)) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The job that a message is about.
pub(in crate::runs) fn job_id(delivery: &Delivery) -> Option<JobId> {
    let subject = delivery.message.headers.subject.as_ref();
    subject.map(|subject| subject.job_id)
}

/// `first`, and the other messages that are there already; at most `most`.
pub(in crate::runs) fn fill_batch(
    first: Delivery,
    consumer: &mut dyn Consumer,
    most: u16,
) -> Vec<Delivery> {
    let mut batch = vec![first];
    while batch.len() < most.into() {
        match consumer.next().now_or_never() {
            Some(Some(delivery)) => batch.push(delivery),
            _ => break,
        }
    }
    batch
}

//! Lost connections, restarts and lost queues, none of which loses a message.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use lapin::options::QueueDeleteOptions;
use seedbed_protocol::broker::{Broker, BrokerError, Headers, Message, Queue, RETURN_LIMIT};
use testkit::{servers::RabbitMq, wait};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::support::{SOON, connected, other_program};

fn message(text: &str) -> Message {
    Message {
        body: text.as_bytes().to_vec().into(),
        headers: Headers::default(),
    }
}

async fn publish(broker: &dyn Broker, text: &str) {
    broker.publish(Queue::Jobs, message(text)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_and_a_restart_amid_2000_messages_lose_none() {
    const MESSAGES: usize = 2000;
    let rabbitmq = Arc::new(RabbitMq::start());
    let broker = connected(&rabbitmq.url()).await;
    let (seen, mut received) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let mut jobs = broker.consume(Queue::Jobs, 20).await.unwrap();
        let seen = seen.clone();
        tasks.spawn(async move {
            while let Some(delivery) = jobs.next().await {
                let body = delivery.message.body.clone();
                match delivery.ack().await {
                    Ok(()) => seen.send(body).unwrap(),
                    Err(error) => assert_eq!(error, BrokerError::Void),
                }
            }
        });
    }
    for first in 0..20 {
        let broker = broker.clone();
        tasks.spawn(async move {
            for number in (first..MESSAGES).step_by(20) {
                publish(&*broker, &number.to_string()).await;
            }
        });
    }
    let mut consumed = HashSet::new();
    while consumed.len() < 300 {
        consumed.insert(received.recv().await.unwrap());
    }
    let restarted = rabbitmq.clone();
    tokio::task::spawn_blocking(move || restarted.restart())
        .await
        .unwrap();
    while consumed.len() < MESSAGES {
        let body = timeout(SOON, received.recv()).await;
        let body = body.unwrap_or_else(|_| panic!("only {} came", consumed.len()));
        consumed.insert(body.unwrap());
    }
    assert!(broker.is_connected());
    broker.close().await;
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_of_a_lost_connection_is_void_and_disturbs_nothing() {
    let rabbitmq = RabbitMq::start();
    let broker = connected(&rabbitmq.url()).await;
    for text in ["acked", "retried", "dropped"] {
        publish(&*broker, text).await;
    }
    let mut jobs = broker.consume(Queue::Jobs, 3).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(timeout(SOON, jobs.next()).await.unwrap().unwrap());
    }
    tokio::task::block_in_place(|| rabbitmq.drop_connections());
    let mut again = Vec::new();
    for _ in 0..3 {
        again.push(timeout(SOON, jobs.next()).await.unwrap().unwrap());
    }

    let dropped = held.pop().unwrap();
    let retried = held.pop().unwrap();
    let acked = held.pop().unwrap();
    assert_eq!(acked.ack().await, Err(BrokerError::Void));
    let next = message("never published");
    assert_eq!(
        retried.retry_later(next, Duration::ZERO).await,
        Err(BrokerError::Void)
    );
    drop(dropped);

    let mut bodies = HashSet::new();
    for delivery in again {
        assert_eq!(delivery.returned, 1);
        bodies.insert(delivery.message.body.clone());
        delivery.ack().await.unwrap();
    }
    assert_eq!(bodies.len(), 3, "each came again, once");
    assert_eq!(broker.waiting(Queue::Jobs).await, Ok(0));
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_waits_for_a_server_that_is_away() {
    let rabbitmq = RabbitMq::start();
    let broker = connected(&rabbitmq.url()).await;
    tokio::task::block_in_place(|| rabbitmq.stop());
    wait::until("the loss is noticed", async || !broker.is_connected()).await;
    let publishing = tokio::spawn({
        let broker = broker.clone();
        async move { publish(&*broker, "patient").await }
    });
    let waiting = broker.waiting(Queue::Jobs).await.unwrap_err();
    assert!(waiting.is_transient(), "{waiting}");
    tokio::task::block_in_place(|| rabbitmq.resume());
    timeout(SOON, publishing).await.unwrap().unwrap();
    wait::until("the message is there", async || {
        broker.waiting(Queue::Jobs).await == Ok(1)
    })
    .await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_its_own_delay_and_not_the_whole_tier() {
    let rabbitmq = RabbitMq::shared();
    let broker = connected(&rabbitmq.vhost()).await;
    let mut jobs = broker.consume(Queue::Jobs, 5).await.unwrap();
    publish(&*broker, "first").await;
    let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    // The tier of 16 s; thrice in a row, since RabbitMQ drops what circles through the same queues.
    let delay = Duration::from_millis(4100);
    let asked = Instant::now();
    delivery.retry_later(message("again"), delay).await.unwrap();
    let again = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    let waited = asked.elapsed();
    assert!(waited >= delay, "{waited:?}");
    assert!(waited < Duration::from_secs(12), "{waited:?}");
    assert_eq!(again.message, message("again"));
    assert_eq!(again.returned, 0);

    let mut delivery = again;
    for text in ["second", "third", "fourth"] {
        let delay = Duration::from_millis(50);
        delivery.retry_later(message(text), delay).await.unwrap();
        delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        assert_eq!(delivery.message, message(text));
    }
    delivery.ack().await.unwrap();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_killed_gives_back_and_the_limit_parks_with_a_reason() {
    let rabbitmq = RabbitMq::shared();
    let url = rabbitmq.vhost();
    let broker = connected(&url).await;
    publish(&*broker, "poison").await;
    for returned in 0..=RETURN_LIMIT {
        let victim = connected(&url).await;
        let mut jobs = victim.consume(Queue::Jobs, 1).await.unwrap();
        let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        assert_eq!(delivery.returned, returned);
        // Nothing is settled: the connection just ends.
        victim.close().await;
    }
    wait::until("it is parked", async || {
        broker.waiting(Queue::ParkedJobs).await == Ok(1)
    })
    .await;
    // Reading it does not remove it.
    for _ in 0..25 {
        let seen = timeout(SOON, async {
            loop {
                if let Some(seen) = broker.take(Queue::ParkedJobs).await.unwrap() {
                    break seen;
                }
            }
        });
        let reason = seen.await.unwrap().message.headers.parked.clone();
        assert_eq!(reason.as_deref(), Some("it came back unsettled 6 times"));
    }
    assert_eq!(broker.waiting(Queue::Jobs).await, Ok(0));
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_longer_than_a_frame_is_cut_and_parks_all_the_same() {
    let rabbitmq = RabbitMq::shared();
    let broker = connected(&rabbitmq.vhost()).await;
    publish(&*broker, "long story").await;
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    let reason = "ä".repeat(200_000);
    timeout(SOON, delivery.park(reason)).await.unwrap().unwrap();
    let parked = broker.take(Queue::ParkedJobs).await.unwrap().unwrap();
    let reason = parked.message.headers.parked.clone().unwrap();
    assert!(reason.starts_with("ää") && reason.len() <= 4096);
    parked.ack().await.unwrap();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_consumer_hands_back_what_nobody_has_tried() {
    let rabbitmq = RabbitMq::shared();
    let broker = connected(&rabbitmq.vhost()).await;
    for text in ["held", "fetched 1", "fetched 2"] {
        publish(&*broker, text).await;
    }
    let mut gone = broker.consume(Queue::Jobs, 3).await.unwrap();
    let held = timeout(SOON, gone.next()).await.unwrap().unwrap();
    wait::until("the others are fetched", async || {
        broker.waiting(Queue::Jobs).await == Ok(0)
    })
    .await;
    drop(gone);
    let mut jobs = broker.consume(Queue::Jobs, 3).await.unwrap();
    for _ in 0..2 {
        let fetched = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        assert!(fetched.message.body.starts_with(b"fetched"));
        assert_eq!(fetched.returned, 0, "nobody has tried it");
        fetched.ack().await.unwrap();
    }
    held.ack().await.unwrap();
    assert_eq!(broker.waiting(Queue::Jobs).await, Ok(0));
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_to_a_deleted_queue_declares_it_again() {
    let rabbitmq = RabbitMq::shared();
    let url = rabbitmq.vhost();
    let broker = connected(&url).await;
    let (_connection, channel) = other_program(&url).await;
    for queue in [Queue::Jobs, Queue::Events] {
        channel
            .queue_delete(queue.name().into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }
    // Many at once, so that returned messages are among confirmed ones.
    let publishing = (0..20).map(|number| {
        let queue = if number % 2 == 0 {
            Queue::Jobs
        } else {
            Queue::ParkedJobs
        };
        broker.publish(queue, message("kept"))
    });
    for stored in timeout(SOON, join_all(publishing)).await.unwrap() {
        stored.unwrap();
    }
    assert_eq!(broker.waiting(Queue::ParkedJobs).await, Ok(10));
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    for _ in 0..10 {
        let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        assert_eq!(delivery.message, message("kept"));
        delivery.ack().await.unwrap();
    }
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_broker_ends_its_consumers_and_refuses() {
    let rabbitmq = RabbitMq::shared();
    let broker = connected(&rabbitmq.vhost()).await;
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let waiting = tokio::spawn(async move { jobs.next().await.is_none() });
    broker.close().await;
    assert!(!broker.is_connected());
    assert!(timeout(SOON, waiting).await.unwrap().unwrap());
    let refused = broker.publish(Queue::Jobs, message("late")).await;
    assert_eq!(refused, Err(BrokerError::Closed));
    assert!(matches!(
        broker.take(Queue::Jobs).await,
        Err(BrokerError::Closed)
    ));
}

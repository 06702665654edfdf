//! The delivery contract of `seedbed_protocol::broker`, one suite for every broker.

use std::{sync::Arc, time::Duration};

use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    broker::{
        Broker, BrokerConfig, BrokerError, BrokerUrl, Delivery, Headers, MemoryBroker, Message,
        Queue, RETURN_LIMIT, Subject, connect,
    },
    manifest::{Encoding, Form, Notes, Rendition, StepTiming},
    message::Extras,
    telemetry::trace::TraceContext,
};
use testkit::servers::RabbitMq;
use tokio::time::timeout;

/// Long enough for any message that is on its way.
const SOON: Duration = Duration::from_secs(60);

/// How long a message that must not come is waited for.
const NEVER: Duration = Duration::from_millis(50);

fn message(text: &str) -> Message {
    let trace = TraceContext {
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        tracestate: Some("vendor=1".to_owned()),
    };
    let subject = Subject {
        run_id: RunId::new(),
        job_id: JobId::new(),
        store_id: StoreId::new("größe 7").unwrap(),
        attempt: Attempt::FIRST,
    };
    let headers = Headers {
        subject: Some(subject),
        trace,
        extras: Extras {
            notes: Notes(vec!["one".to_owned(), "größe 2".to_owned()]),
            renditions: vec![rendition(), sealed()],
            steps: vec![StepTiming {
                step: "sync".to_owned(),
                millis: 46,
            }],
            waiting: 3,
        },
        ..Headers::default()
    };
    Message {
        body: text.as_bytes().to_vec().into(),
        headers,
    }
}

fn rendition() -> Rendition {
    Rendition {
        form: Form::Compact,
        encoding: Encoding::Gzip,
        key: "gr_c3_b6_c3_9fe_207/1.compact.sqlite.gz".to_owned(),
        bytes: 1,
        sha256: "ab".repeat(32),
        unpacked: None,
        finish: Some(1),
        selection: None,
    }
}

fn sealed() -> Rendition {
    Rendition {
        encoding: Encoding::Sqlcipher4,
        key: "gr_c3_b6_c3_9fe_207/1.compact.sqlite.sqlcipher4".to_owned(),
        ..rendition()
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    keeps_the_contract(Arc::new(MemoryBroker::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_keeps_the_contract() {
    let rabbitmq = RabbitMq::shared();
    let url = BrokerUrl::new(&rabbitmq.vhost()).unwrap();
    let broker = connect(&BrokerConfig::new(url)).await.unwrap();
    keeps_the_contract(broker.clone()).await;
    broker.close().await;
}

async fn keeps_the_contract(broker: Arc<dyn Broker>) {
    messages_arrive_whole_and_in_order(&*broker).await;
    an_urgent_message_stays_urgent(&*broker).await;
    no_more_than_the_prefetch_is_out_at_a_time(&*broker).await;
    a_dropped_delivery_comes_again_and_says_so(&*broker).await;
    what_is_acknowledged_together_is_that_and_no_more(&*broker).await;
    a_dropped_consumer_gives_back_what_it_held(&*broker).await;
    a_retry_comes_later_and_as_it_was_rewritten(&*broker).await;
    a_parked_message_is_kept_with_its_reason(&*broker).await;
    a_message_that_nobody_settles_ends_up_parked(&*broker).await;
    what_is_handed_back_does_not_count_as_returned(&*broker).await;
    an_event_cannot_wait_for_a_later_try(&*broker).await;
    every_message_goes_to_one_of_many_consumers(broker).await;
}

async fn messages_arrive_whole_and_in_order(broker: &dyn Broker) {
    let (first, second) = (message("first"), message("second"));
    broker.publish(Queue::Jobs, first.clone()).await.unwrap();
    broker.publish(Queue::Jobs, second.clone()).await.unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 2).await.unwrap();
    for expected in [first, second] {
        let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        assert_eq!(delivery.message, expected);
        assert_eq!(delivery.returned, 0);
        delivery.ack().await.unwrap();
    }
    let mut events = broker.consume(Queue::Events, 1).await.unwrap();
    assert!(
        timeout(NEVER, events.next()).await.is_err(),
        "queues are separate"
    );
}

async fn an_urgent_message_stays_urgent(broker: &dyn Broker) {
    let mut urgent = message("urgent");
    urgent.headers.urgent = true;
    broker.publish(Queue::Jobs, urgent.clone()).await.unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert_eq!(delivery.message, urgent);
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn in_memory_urgent_messages_come_first_and_in_their_order() {
    let broker = MemoryBroker::default();
    for text in ["a", "b", "first!", "c", "second!"] {
        let mut message = message(text);
        message.headers.urgent = text.ends_with('!');
        broker.publish(Queue::Jobs, message).await.unwrap();
    }
    let mut jobs = broker.consume(Queue::Jobs, 5).await.unwrap();
    for expected in ["first!", "second!", "a", "b", "c"] {
        let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        assert_eq!(&delivery.message.body[..], expected.as_bytes());
        delivery.ack().await.unwrap();
    }
}

async fn no_more_than_the_prefetch_is_out_at_a_time(broker: &dyn Broker) {
    for text in ["a", "b", "c"] {
        broker.publish(Queue::Jobs, message(text)).await.unwrap();
    }
    let mut jobs = broker.consume(Queue::Jobs, 2).await.unwrap();
    let a = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    let b = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert!(timeout(NEVER, jobs.next()).await.is_err());
    a.ack().await.unwrap();
    let c = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert_eq!(&c.message.body[..], b"c");
    b.ack().await.unwrap();
    c.ack().await.unwrap();
}

async fn a_dropped_delivery_comes_again_and_says_so(broker: &dyn Broker) {
    broker
        .publish(Queue::Jobs, message("dropped"))
        .await
        .unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let first = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    let before = first.returned;
    drop(first);
    let again = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert_eq!(again.returned, before + 1);
    assert_eq!(&again.message.body[..], b"dropped");
    again.ack().await.unwrap();
}

async fn what_is_acknowledged_together_is_that_and_no_more(broker: &dyn Broker) {
    for text in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        broker.publish(Queue::Jobs, message(text)).await.unwrap();
    }
    let mut jobs = broker.consume(Queue::Jobs, 6).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..6 {
        taken.push(timeout(SOON, jobs.next()).await.unwrap().unwrap());
    }
    let mut others = broker.consume(Queue::Jobs, 2).await.unwrap();
    let seventh = timeout(SOON, others.next()).await.unwrap().unwrap();
    let eighth = timeout(SOON, others.next()).await.unwrap().unwrap();
    Delivery::ack_all(Vec::new()).await.unwrap();
    // All that this consumer has handed out so far, in another order.
    let mut first = taken.drain(..3).collect::<Vec<_>>();
    first.reverse();
    Delivery::ack_all(first).await.unwrap();
    // Not the one between them, and one of another consumer.
    let fifth = taken.remove(1);
    taken.push(eighth);
    Delivery::ack_all(taken).await.unwrap();
    drop((fifth, seventh, jobs, others));
    let mut left = Vec::new();
    for _ in 0..2 {
        let delivery = wait_for(broker, Queue::Jobs).await;
        left.push(String::from_utf8(delivery.message.body.to_vec()).unwrap());
        delivery.ack().await.unwrap();
    }
    left.sort();
    assert_eq!(left, ["5", "7"]);
    assert!(broker.take(Queue::Jobs).await.unwrap().is_none());
}

async fn a_dropped_consumer_gives_back_what_it_held(broker: &dyn Broker) {
    broker.publish(Queue::Jobs, message("held")).await.unwrap();
    let mut gone = broker.consume(Queue::Jobs, 1).await.unwrap();
    let held = timeout(SOON, gone.next()).await.unwrap().unwrap();
    drop(gone);
    drop(held);
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let again = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert_eq!(&again.message.body[..], b"held");
    again.ack().await.unwrap();
}

async fn a_retry_comes_later_and_as_it_was_rewritten(broker: &dyn Broker) {
    broker.publish(Queue::Jobs, message("try 1")).await.unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let first = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    let mut next = message("try 2");
    next.headers.subject.as_mut().unwrap().attempt = Attempt::FIRST.next();
    let asked = std::time::Instant::now();
    first
        .retry_later(next.clone(), Duration::from_millis(100))
        .await
        .unwrap();
    let second = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(100));
    assert_eq!(second.message, next);
    second.ack().await.unwrap();
}

async fn a_parked_message_is_kept_with_its_reason(broker: &dyn Broker) {
    let parked = message("poison");
    broker.publish(Queue::Jobs, parked.clone()).await.unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    delivery.park("it is poison".to_owned()).await.unwrap();
    assert!(timeout(NEVER, jobs.next()).await.is_err());
    assert_eq!(broker.waiting(Queue::ParkedJobs).await.unwrap(), 1);
    let found = broker.take(Queue::ParkedJobs).await.unwrap().unwrap();
    assert_eq!(found.message.body, parked.body);
    assert_eq!(found.message.headers.subject, parked.headers.subject);
    let reason = found.message.headers.parked.clone();
    assert_eq!(reason.as_deref(), Some("it is poison"));
    found.ack().await.unwrap();
    assert!(broker.take(Queue::ParkedJobs).await.unwrap().is_none());
}

async fn a_message_that_nobody_settles_ends_up_parked(broker: &dyn Broker) {
    broker
        .publish(Queue::Jobs, message("poison"))
        .await
        .unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let first = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    // On RabbitMQ it may have been on its way to the last consumer.
    let before = first.returned;
    assert!(before <= 1);
    drop(first);
    for returned in before + 1..=RETURN_LIMIT {
        let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        assert_eq!(delivery.returned, returned);
    }
    let parked = wait_for(broker, Queue::ParkedJobs).await;
    assert_eq!(&parked.message.body[..], b"poison");
    assert!(parked.message.headers.parked.is_some());
    parked.ack().await.unwrap();
    assert!(timeout(NEVER, jobs.next()).await.is_err());
}

async fn what_is_handed_back_does_not_count_as_returned(broker: &dyn Broker) {
    let handed = message("handed back");
    broker.publish(Queue::Jobs, handed.clone()).await.unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let first = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    first.hand_back().await.unwrap();
    let again = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert_eq!(again.returned, 0);
    assert_eq!(again.message, handed);
    again.ack().await.unwrap();
}

async fn an_event_cannot_wait_for_a_later_try(broker: &dyn Broker) {
    let event = message("event");
    broker.publish(Queue::Events, event.clone()).await.unwrap();
    let mut events = broker.consume(Queue::Events, 1).await.unwrap();
    let delivery = timeout(SOON, events.next()).await.unwrap().unwrap();
    let queue = Queue::Events;
    let refused = delivery.retry_later(message("never"), SOON).await;
    assert_eq!(refused, Err(BrokerError::NoDelays { queue }));
    let again = timeout(SOON, events.next()).await.unwrap().unwrap();
    assert_eq!(again.message, event);
    again.ack().await.unwrap();
}

/// The first message that comes to `queue`.
async fn wait_for(broker: &dyn Broker, queue: Queue) -> Delivery {
    let arrives = async {
        loop {
            match broker.take(queue).await.unwrap() {
                Some(delivery) => break delivery,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    timeout(SOON, arrives).await.unwrap()
}

async fn every_message_goes_to_one_of_many_consumers(broker: Arc<dyn Broker>) {
    const MESSAGES: usize = 500;
    let (seen, mut received) = tokio::sync::mpsc::unbounded_channel();
    let mut consumers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut jobs = broker.consume(Queue::Jobs, 3).await.unwrap();
        let seen = seen.clone();
        consumers.spawn(async move {
            while let Some(delivery) = jobs.next().await {
                seen.send(delivery.message.body.clone()).unwrap();
                delivery.ack().await.unwrap();
            }
        });
    }
    let mut expected = std::collections::HashSet::new();
    for number in 0..MESSAGES {
        let message = message(&number.to_string());
        expected.insert(message.body.clone());
        broker.publish(Queue::Jobs, message).await.unwrap();
    }
    for _ in 0..MESSAGES {
        let body = timeout(SOON, received.recv()).await.unwrap().unwrap();
        assert!(expected.remove(&body), "each message comes once");
    }
    assert!(expected.is_empty());
    consumers.shutdown().await;
}

#[tokio::test]
async fn a_full_memory_queue_holds_the_publisher_back_and_never_a_retry() {
    let broker = MemoryBroker::new(1);
    broker.publish(Queue::Jobs, message("a")).await.unwrap();
    let publishing = tokio::spawn({
        let broker = broker.clone();
        async move { broker.publish(Queue::Jobs, message("b")).await }
    });
    let mut jobs = broker.consume(Queue::Jobs, 5).await.unwrap();
    let a = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    timeout(SOON, publishing).await.unwrap().unwrap().unwrap();
    // "b" fills the queue again; giving "a" back must not wait for room.
    drop(a);
    let again = timeout(SOON, jobs.next()).await.unwrap().unwrap();
    assert_eq!(&again.message.body[..], b"a");
}

#[tokio::test]
async fn a_closed_memory_broker_ends_everybody() {
    let broker = MemoryBroker::new(1);
    broker.publish(Queue::Jobs, message("a")).await.unwrap();
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let waiting = tokio::spawn({
        let broker = broker.clone();
        async move { broker.publish(Queue::Jobs, message("b")).await }
    });
    broker.close().await;
    assert!(timeout(SOON, jobs.next()).await.unwrap().is_none());
    let refused = timeout(SOON, waiting).await.unwrap().unwrap();
    assert!(matches!(refused, Err(BrokerError::Closed)));
}

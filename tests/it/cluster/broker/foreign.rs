//! Messages of other publishers: each is delivered once, can be parked, and none loops.

use std::collections::HashMap;

use bytes::Bytes;
use lapin::{
    BasicProperties,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable},
};
use seedbed_protocol::{
    broker::{Queue, Subject},
    message::codec::CodecError,
    message::{SeedEvent, SeedJob},
};
use testkit::servers::RabbitMq;
use tokio::time::timeout;

use super::support::{SOON, connected, other_program};

fn header(name: &str, value: AMQPValue) -> BasicProperties {
    let mut fields = FieldTable::default();
    fields.insert(name.into(), value);
    BasicProperties::default().with_headers(fields)
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_messages_of_the_future_arrive_without_a_subject_and_can_be_parked() {
    let rabbitmq = RabbitMq::shared();
    let url = rabbitmq.vhost();
    let broker = connected(&url).await;
    let (_connection, channel) = other_program(&url).await;
    let not_utf8 = AMQPValue::LongString(vec![0xff, 0xfe].into());
    let foreign: [(&[u8], BasicProperties); 5] = [
        (b"", BasicProperties::default()),
        (b"garbage", BasicProperties::default()),
        (
            &[0xCA, 99, 1, 2, 3],
            header("seedbed-attempt", AMQPValue::Boolean(true)),
        ),
        (&[0xCE, 99, 1, 2, 3], header("seedbed-store-id", not_utf8)),
        (
            b"half a subject",
            header("seedbed-attempt", AMQPValue::LongLongInt(-1)),
        ),
    ];
    for queue in [Queue::Jobs, Queue::Events] {
        for (body, properties) in &foreign {
            channel
                .basic_publish(
                    "".into(),
                    queue.name().into(),
                    BasicPublishOptions::default(),
                    body,
                    properties.clone(),
                )
                .await
                .unwrap();
        }
        let mut consumer = broker.consume(queue, 2).await.unwrap();
        let mut seen = HashMap::new();
        for _ in 0..foreign.len() {
            let delivery = timeout(SOON, consumer.next()).await.unwrap().unwrap();
            let message = &delivery.message;
            assert_eq!(message.headers.subject, None::<Subject>);
            let error = match queue {
                Queue::Jobs => message.decode::<SeedJob>().unwrap_err(),
                _ => message.decode::<SeedEvent>().unwrap_err(),
            };
            seen.insert(message.body.clone(), error.clone());
            delivery.park(error.to_string()).await.unwrap();
        }
        assert_eq!(seen.len(), foreign.len(), "each came once");
        let from_the_future = match queue {
            Queue::Jobs => Bytes::from_static(&[0xCA, 99, 1, 2, 3]),
            _ => Bytes::from_static(&[0xCE, 99, 1, 2, 3]),
        };
        let error = &seen[&from_the_future];
        assert!(matches!(error, CodecError::Future { .. }), "{error}");
        for _ in 0..foreign.len() {
            let parked = broker.take(queue.parking()).await.unwrap().unwrap();
            assert_eq!(
                parked.message.headers.parked,
                Some(seen[&parked.message.body].to_string())
            );
            parked.ack().await.unwrap();
        }
    }
    broker.close().await;
}

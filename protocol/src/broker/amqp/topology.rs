//! What Seedbed declares on RabbitMQ: names and arguments, once.
//!
//! ```text
//!   seed.jobs ──delivery limit──▶ exchange seed.dead ──▶ seed.jobs.dead       (the same for seed.events)
//!       ▲ └──retry, published again─▶ seed.jobs.delay.1 … .3600
//!       └────────────── TTL ───────────────┘
//!   seed.workers: heartbeats, bounded in number and time
//! ```
//!
//! Declared at every start and reconnect, by several programs and against any version that a server was upgraded to, so
//! nothing here may depend on a setting or on the server's version: RabbitMQ refuses a queue that exists with other
//! arguments.

use std::time::Duration;

use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, LongString},
};

use super::super::{error::BrokerError, queue::Queue};

/// Routes messages that came back unsettled too often to where they are parked.
pub(super) const DEAD_EXCHANGE: &str = "seed.dead";

/// The queues that it routes to.
pub(super) const BOUND: [Queue; 2] = [Queue::ParkedJobs, Queue::ParkedEvents];

/// The nameless exchange, which routes to the queue that the routing key names.
pub(super) const DEFAULT_EXCHANGE: &str = "";

/// The longest delay of each delay queue, in seconds: powers of 4 up to an hour, so that few queues are enough and a
/// message waits at most four times as long as it asked for.
const TIERS: [u32; 7] = [1, 4, 16, 64, 256, 1024, 3600];

/// `x-consumer-timeout` of every queue, which RabbitMQ reads from 3.12 on and ignores before. It only has to be
/// longer than any job: newer servers refuse a changed value, so the setting travels with each consumer.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many heartbeats [`Queue::Workers`] keeps, the newest, and for how long in milliseconds. Without a coordinator that
/// takes them, they must not fill the disk.
const KEPT_HEARTBEATS: i64 = 10_000;
const HEARTBEATS_KEPT_MILLIS: i64 = 30_000;

/// Where a message is published to, and how long it stays there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The queue's name, which is the routing key of [`DEFAULT_EXCHANGE`].
    pub(super) queue: String,
    /// How long the message stays there before it goes back to its work queue.
    pub(super) expires: Option<Duration>,
}

impl Route {
    /// Straight into `queue`.
    pub(super) fn to(queue: Queue) -> Self {
        Self {
            queue: queue.name().to_owned(),
            expires: None,
        }
    }

    /// Into `queue` after `delay`, or an hour if that is less.
    ///
    /// The message goes to the smallest tier that is long enough and expires there after its own delay, so
    /// that jitter survives. RabbitMQ expires messages at the head of a queue only: behind one with a longer
    /// delay, a message waits up to the whole tier.
    ///
    /// # Errors
    /// [`BrokerError::NoDelays`]: only jobs have tiers, see [`Queue::retried_in`].
    pub(super) fn after(queue: Queue, delay: Duration) -> Result<Self, BrokerError> {
        if delay.is_zero() {
            return Ok(Self::to(queue));
        }
        if queue.retried_in().is_none() {
            return Err(BrokerError::NoDelays { queue });
        }
        let longest = TIERS[TIERS.len() - 1];
        let tier = TIERS.into_iter().find(|tier| seconds(*tier) >= delay);
        let tier = tier.unwrap_or(longest);
        Ok(Self {
            queue: delay_queue(tier),
            expires: Some(delay.min(seconds(tier))),
        })
    }
}

/// Returns the names of the queues whose messages go to `queue` when they have waited for a retry.
pub(super) fn delay_queues(queue: Queue) -> impl Iterator<Item = String> {
    let has_delays = queue.retried_in() == Some(queue);
    let tiers = if has_delays { &TIERS[..] } else { &[] };
    tiers.iter().map(|tier| delay_queue(*tier))
}

fn delay_queue(tier: u32) -> String {
    format!("{}.delay.{tier}", Queue::Jobs)
}

fn seconds(tier: u32) -> Duration {
    Duration::from_secs(tier.into())
}

/// Declares everything.
///
/// # Errors
/// [`BrokerError::Topology`] when something exists with other arguments or may not be declared.
pub(super) async fn declare(channel: &Channel) -> Result<(), BrokerError> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .exchange_declare(
            DEAD_EXCHANGE.into(),
            ExchangeKind::Direct,
            durable,
            FieldTable::default(),
        )
        .await
        .map_err(|e| refused("exchange", DEAD_EXCHANGE, &e))?;
    for (name, arguments) in queues() {
        channel
            .queue_declare(
                name.as_str().into(),
                QueueDeclareOptions::durable(),
                arguments,
            )
            .await
            .map_err(|e| refused("queue", &name, &e))?;
    }
    for queue in BOUND {
        let name = queue.name();
        bind(channel, queue)
            .await
            .map_err(|e| refused("queue", name, &e))?;
    }
    Ok(())
}

/// Has [`DEAD_EXCHANGE`] route to a queue.
pub(super) async fn bind(channel: &Channel, queue: Queue) -> lapin::Result<()> {
    let (name, options) = (queue.name(), QueueBindOptions::default());
    channel
        .queue_bind(
            name.into(),
            DEAD_EXCHANGE.into(),
            name.into(),
            options,
            FieldTable::default(),
        )
        .await
}

/// Returns the name and the arguments of every queue.
pub(super) fn queues() -> impl Iterator<Item = (String, FieldTable)> {
    let work = Queue::ALL.map(|queue| (queue.name().to_owned(), arguments(queue)));
    let delays = TIERS.map(|tier| (delay_queue(tier), delay_arguments(tier)));
    work.into_iter().chain(delays)
}

fn arguments(queue: Queue) -> FieldTable {
    let mut arguments = quorum();
    // Counts returns, so the message is delivered once more often than this.
    let limit = i64::from(queue.return_limit());
    arguments.insert("x-delivery-limit".into(), limit.into());
    if queue == Queue::Workers {
        arguments.insert("x-max-length".into(), KEPT_HEARTBEATS.into());
        arguments.insert("x-message-ttl".into(), HEARTBEATS_KEPT_MILLIS.into());
    }
    if queue != queue.parking() {
        dead_letter_to(&mut arguments, DEAD_EXCHANGE, queue.parking());
    }
    let timeout = CONSUMER_TIMEOUT.as_millis() as i64;
    arguments.insert("x-consumer-timeout".into(), timeout.into());
    arguments
}

fn delay_arguments(tier: u32) -> FieldTable {
    let mut arguments = quorum();
    let lifetime = seconds(tier).as_millis() as i64;
    arguments.insert("x-message-ttl".into(), lifetime.into());
    dead_letter_to(&mut arguments, DEFAULT_EXCHANGE, Queue::Jobs);
    arguments
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

/// Has the queue keep a message until its dead-letter queue has confirmed it, which requires
/// `reject-publish` (<https://www.rabbitmq.com/docs/quorum-queues#activating-at-least-once-dead-lettering>).
fn dead_letter_to(arguments: &mut FieldTable, exchange: &str, queue: Queue) {
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    arguments.insert("x-dead-letter-routing-key".into(), text(queue.name()));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

/// Says what an error means for something that Seedbed declares or uses.
pub(super) fn refused(kind: &'static str, name: &str, error: &lapin::Error) -> BrokerError {
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        return error.clone().into();
    };
    let (next, may_pass) = match protocol.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
            let next = format!(
                "let the workers finish what is in it, delete it (rabbitmqctl delete_queue {name}, with -p for \
                 the virtual host) and start again, or name a new virtual host in broker.url"
            );
            (next, false)
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            let next = "allow broker.url's user to configure, write and read it (rabbitmqctl set_permissions)";
            (next.to_owned(), true)
        }
        // Something else deletes what was declared a moment ago.
        _ => return error.clone().into(),
    };
    BrokerError::Topology {
        kind,
        name: name.to_owned(),
        reason: protocol.get_message().to_string(),
        next,
        may_pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(delay: Duration) -> (String, Duration) {
        let route = Route::after(Queue::Jobs, delay).unwrap();
        (route.queue, route.expires.unwrap())
    }

    #[test]
    fn a_delay_goes_to_the_smallest_tier_that_is_long_enough_and_keeps_its_length() {
        let seconds = Duration::from_secs;
        let short = Duration::from_millis(300);
        assert_eq!(waits(short), ("seed.jobs.delay.1".to_owned(), short));
        assert_eq!(waits(seconds(1)).0, "seed.jobs.delay.1");
        assert_eq!(
            waits(seconds(17)),
            ("seed.jobs.delay.64".to_owned(), seconds(17))
        );
        assert_eq!(
            waits(seconds(7200)),
            ("seed.jobs.delay.3600".to_owned(), seconds(3600))
        );
    }

    #[test]
    fn only_jobs_wait_for_a_later_try() {
        let event = Route::after(Queue::Events, Duration::from_secs(1));
        assert_eq!(
            event,
            Err(BrokerError::NoDelays {
                queue: Queue::Events
            })
        );
        let at_once = Route::after(Queue::Events, Duration::ZERO);
        assert_eq!(at_once, Ok(Route::to(Queue::Events)));
    }
}

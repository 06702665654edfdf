//! The broker of `amqp://` and `amqps://`: RabbitMQ 3.10 to 4.x.
//!
//! Two connections (`link`) that are restored whenever they are lost: one with the channel that publishes
//! (`publisher`), one with a channel for each consumer (`consumer`), so that messages can be taken and
//! acknowledged while a server that is short of memory or disk blocks its publishers.
//!
//! lapin can recover connections by itself, but gives up after a number of tries, replays what it remembers
//! instead of what `topology` says, and leaves the confirms that were in flight to its user; so
//! Seedbed opens new connections and asks lapin for nothing else.

mod address;
mod broker;
mod consumer;
mod error;
mod link;
mod metrics;
mod publisher;
mod shared;
mod survey;
mod topology;
mod watching;
mod wire;

pub use broker::AmqpBroker;
pub use survey::{Survey, declared_queues, survey};

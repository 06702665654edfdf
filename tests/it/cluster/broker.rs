//! The broker: one contract for every kind, and what only RabbitMQ can do to it.

mod contract;
mod faults;
mod foreign;
mod refusals;
pub(super) mod support;

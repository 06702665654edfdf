//! Coordinators and workers as programs of their own, on a real RabbitMQ and real databases.

mod broker;
mod catalog;
mod failures;
mod refusals;
mod retention;
pub(crate) mod runs;
mod serve;
mod sources;
mod storm;

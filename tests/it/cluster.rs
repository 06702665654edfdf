//! Coordinators and workers as programs of their own, on a real RabbitMQ and real databases.

mod broker;
mod catalog;
mod check;
mod failures;
mod forget;
mod notify;
mod refusals;
mod retention;
mod runs;
mod serve;
mod sources;
mod workers;

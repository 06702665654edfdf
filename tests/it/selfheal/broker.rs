//! RabbitMQ is away, short of memory, refuses, or has lost what it was given.

mod alarm;
mod away;
mod lost;

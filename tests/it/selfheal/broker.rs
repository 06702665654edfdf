//! RabbitMQ is away, short of memory, refuses, has lost what it was given, or has parked it.

mod alarm;
mod away;
mod lost;
mod parked;

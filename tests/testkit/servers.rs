//! Servers that belong to tests: each a program with its own data and port on loopback, gone however the tests end.

mod certificates;
mod jaeger;
mod kubernetes;
mod link;
mod mariadb;
mod mongodb;
mod pgbouncer;
mod postgres;
pub(crate) mod process;
mod rabbitmq;
mod relay;
mod shared;

pub use certificates::Authority;
pub use jaeger::Jaeger;
pub use kubernetes::{Answer, Kubernetes};
pub use link::Link;
pub use mariadb::MariaDb;
pub use mongodb::MongoDb;
pub use pgbouncer::PgBouncer;
pub use postgres::{GUARDED_USER, Postgres};
pub use process::free_port;
pub use rabbitmq::{Certificate, RabbitMq};
pub use relay::Relay;

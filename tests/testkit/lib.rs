//! Test equipment: stand-ins for the services around Seedbed, private to one test and gone when it ends.

pub mod certificates;
pub mod cluster;
pub mod collector;
pub mod jaeger;
pub mod mariadb;
pub mod mounts;
pub mod objects;
pub mod pipeline;
pub mod postgres;
pub mod program;
pub mod rabbitmq;
mod server;
pub mod serving;
pub mod stand_in;
pub mod usage;

pub use ::stand_in as powersync;

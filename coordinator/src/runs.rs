//! One sweep over the stores: listed, published, recorded, controlled and supervised.

pub mod control;
pub mod list;
pub mod progress;
pub mod publish;
pub mod record;
pub mod supervise;
pub mod trigger;

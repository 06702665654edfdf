//! Gauges of the connections of this process.

use std::sync::Arc;

use opentelemetry::global;

use super::{super::trouble::Trouble, shared::Shared};
use crate::telemetry::SCOPE;

/// Reports whether the broker can be used, as long as it is there.
pub(super) fn observe(shared: &Arc<Shared>) {
    let meter = global::meter(SCOPE);
    let broker = Arc::downgrade(shared);
    meter
        .u64_observable_gauge("seedbed.broker.connected")
        .with_description("1 while this process has its connections to RabbitMQ, else 0")
        .with_callback({
            let broker = broker.clone();
            move |gauge| {
                if let Some(broker) = broker.upgrade() {
                    let away = matches!(broker.trouble(), Some(Trouble::Away { .. }));
                    gauge.observe(u64::from(!away), &[]);
                }
            }
        })
        .build();
    meter
        .u64_observable_gauge("seedbed.broker.blocked")
        .with_description("1 while RabbitMQ, short of memory or disk, takes no messages, else 0")
        .with_callback(move |gauge| {
            if let Some(broker) = broker.upgrade() {
                let blocked = matches!(broker.trouble(), Some(Trouble::Blocked { .. }));
                gauge.observe(u64::from(blocked), &[]);
            }
        })
        .build();
}

//! Gauges of what people have decided and may forget: a delivery that is off, withdrawn snapshots, forgotten stores.

use opentelemetry::{KeyValue, metrics::Gauge};

use crate::{
    catalog::{Decided, Shared},
    metrics::meter,
};

/// Those gauges.
pub(super) struct DecidedGauges {
    share: Gauge<f64>,
    withdrawn: Gauge<u64>,
    stale_latest: Gauge<u64>,
    forgotten: Gauge<u64>,
    left: Gauge<u64>,
}

impl DecidedGauges {
    pub(super) fn new() -> Self {
        let meter = meter();
        let stores = |name: &'static str, about: &'static str| {
            let gauge = meter.u64_gauge(name);
            gauge.with_unit("{store}").with_description(about).build()
        };
        Self {
            share: meter
                .f64_gauge("seedbed.delivery.share")
                .with_unit("1")
                .with_description("Share of the stores that get snapshots, by form")
                .build(),
            withdrawn: stores(
                "seedbed.stores.withdrawn",
                "Stores of which a snapshot was withdrawn, and which no job has brought up to date since",
            ),
            stale_latest: meter
                .u64_gauge("seedbed.latest.stale")
                .with_unit("{snapshot}")
                .with_description("Withdrawn snapshots that copies below latest/ may still be of")
                .build(),
            forgotten: stores(
                "seedbed.stores.forgotten",
                "Stores that are forgotten, and not allowed again",
            ),
            left: stores(
                "seedbed.stores.forgotten.left",
                "Forgotten stores of which objects are left",
            ),
        }
    }

    pub(super) fn record(&self, decided: &Decided) {
        for shared in Shared::EACH {
            let form = KeyValue::new("seedbed.form", shared.name());
            let share = decided.delivery.share(shared).percent() / 100.0;
            self.share.record(share, &[form]);
        }
        self.withdrawn.record(decided.withdrawn, &[]);
        self.stale_latest.record(decided.stale_latest, &[]);
        self.forgotten.record(decided.forgotten, &[]);
        self.left.record(decided.left, &[]);
    }
}

//! Counters and histograms of a coordinator. The gauges, which need the catalog and the broker, are in `runs/gauges.rs`;
//! all names are in `deploy/TELEMETRY.md`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, Meter},
};
use seedbed_protocol::{manifest::Form, message::SeedEvent, telemetry::SCOPE};

use crate::catalog::{LaunchReport, Outcome};

/// Seconds from a worker's report to the catalog.
const LAG: [f64; 12] = [
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0,
];

/// Seconds of a request; the boundaries that OpenTelemetry's conventions advise.
const REQUESTS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Seconds of a first launch.
const LAUNCHES: [f64; 10] = [0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 600.0];

/// Where instruments of this program are made.
pub(crate) fn meter() -> Meter {
    global::meter(SCOPE)
}

/// Published jobs.
pub(crate) struct PublishMetrics {
    pub(crate) published: Counter<u64>,
}

impl PublishMetrics {
    pub(crate) fn new() -> Self {
        Self {
            published: meter()
                .u64_counter("seedbed.jobs.published")
                .with_unit("{job}")
                .with_description("Jobs that the broker has confirmed")
                .build(),
        }
    }
}

/// Jobs whose messages were gone.
pub(crate) struct LostMetrics {
    pub(crate) lost: Counter<u64>,
}

impl LostMetrics {
    pub(crate) fn new() -> Self {
        let lost = meter()
            .u64_counter("seedbed.jobs.lost")
            .with_unit("{job}")
            .with_description("Jobs that are published again, since the broker lost them")
            .build();
        // An alert asks whether it grows, so it has to be there before.
        lost.add(0, &[]);
        Self { lost }
    }
}

/// The certificate that this server speaks TLS by.
#[derive(Debug)]
pub(crate) struct TlsMetrics {
    expires: Gauge<i64>,
}

impl TlsMetrics {
    pub(crate) fn new() -> Self {
        let expires = meter()
            .i64_gauge("seedbed.certificate.expires")
            .with_unit("s")
            .with_description("When the certificate expires, in seconds since 1970")
            .build();
        Self { expires }
    }

    /// Says when the certificate expires that new connections get.
    pub(crate) fn expires(&self, at: DateTime<Utc>) {
        self.expires.record(at.timestamp(), &[]);
    }
}

/// Recorded events.
pub(crate) struct EventMetrics {
    events: Counter<u64>,
    lag: Histogram<f64>,
}

impl EventMetrics {
    pub(crate) fn new() -> Self {
        Self {
            events: meter()
                .u64_counter("seedbed.events")
                .with_unit("{event}")
                .with_description("Events that are in the catalog")
                .build(),
            lag: meter()
                .f64_histogram("seedbed.event.lag")
                .with_unit("s")
                .with_description("From a worker's report to the catalog")
                .with_boundaries(LAG.to_vec())
                .build(),
        }
    }

    /// Counts events that were committed just now.
    pub(crate) fn applied(&self, events: &[SeedEvent]) {
        let now = Utc::now();
        for event in events {
            let name = KeyValue::new("seedbed.event", event.kind.name());
            self.events.add(1, &[name]);
            // Clocks differ.
            let lag = (now - event.at).to_std().unwrap_or_default();
            self.lag.record(lag.as_secs_f64(), &[]);
        }
    }
}

/// First launches, as devices report them. Every label is a word of a fixed list.
pub(crate) struct LaunchMetrics {
    launches: Counter<u64>,
    duration: Histogram<f64>,
}

impl LaunchMetrics {
    pub(crate) fn new() -> Self {
        Self {
            launches: meter()
                .u64_counter("seedbed.launches")
                .with_unit("{launch}")
                .with_description("First launches that devices have reported")
                .build(),
            duration: meter()
                .f64_histogram("seedbed.launch.duration")
                .with_unit("s")
                .with_description("How long a first launch took that used a snapshot")
                .with_boundaries(LAUNCHES.to_vec())
                .build(),
        }
    }

    /// Counts a report that was not known before.
    pub(crate) fn reported(&self, report: &LaunchReport) {
        let platform = KeyValue::new("seedbed.platform", report.platform.name());
        let form = KeyValue::new("seedbed.form", report.form.map_or("none", Form::name));
        let outcome = KeyValue::new("seedbed.outcome", report.outcome.name());
        let labels = [platform.clone(), form.clone(), outcome];
        self.launches.add(1, &labels);
        if report.outcome == Outcome::Installed {
            let total: Duration = report.stages.values().sum();
            self.duration.record(total.as_secs_f64(), &[platform, form]);
        }
    }
}

/// Answered requests.
pub(crate) struct RequestMetrics {
    duration: Histogram<f64>,
}

impl RequestMetrics {
    pub(crate) fn new() -> Self {
        Self {
            duration: meter()
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("From a request's headers to the answer's")
                .with_boundaries(REQUESTS.to_vec())
                .build(),
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(
        &self,
        method: &str,
        route: Option<&str>,
        status: u16,
        elapsed: Duration,
    ) {
        // Unknown methods would make the values of the label unbounded.
        let method = match method {
            "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE" | "CONNECT"
            | "TRACE" => method,
            _ => "_OTHER",
        };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        self.duration.record(elapsed.as_secs_f64(), &attributes);
    }
}

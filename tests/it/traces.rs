//! Telemetry: what programs send to collectors, Prometheus and logs.

mod jobs;
mod shapes;
mod telemetry;

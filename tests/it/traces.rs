//! What programs tell collectors, Prometheus and logs.

mod jobs;
mod shapes;
mod telemetry;

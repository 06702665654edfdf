//! Answers liveness and readiness probes, and Prometheus.
//!
//! `GET /healthz`: the process is alive. `GET /readyz`: it takes jobs; 503 with the reason when the broker cannot be
//! reached or the worker was told to stop. `GET /metrics`: every metric of the process.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use seedbed_protocol::{
    broker::Broker,
    telemetry::{METRICS_CONTENT_TYPE, metrics_text},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What readiness depends on.
#[derive(Clone)]
struct Probed {
    broker: Arc<dyn Broker>,
    drain: CancellationToken,
}

/// The HTTP server of the probes.
pub struct HealthServer {
    listener: TcpListener,
    address: SocketAddr,
    probed: Probed,
}

impl HealthServer {
    /// Listens on `address`, for a worker on `broker` that takes no more jobs after `drain`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        broker: Arc<dyn Broker>,
        drain: CancellationToken,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            probed: Probed { broker, drain },
        })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// Never in practice: failures of single connections are not returned.
    pub async fn serve(self) -> io::Result<()> {
        let routes = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.probed);
        axum::serve(self.listener, routes).await
    }
}

async fn metrics() -> impl IntoResponse {
    ([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics_text())
}

async fn ready(State(probed): State<Probed>) -> (StatusCode, &'static str) {
    if probed.drain.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if !probed.broker.is_connected() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "no connection to the broker\n",
        );
    }
    (StatusCode::OK, "ready\n")
}

//! Answers liveness and readiness probes, and Prometheus.
//!
//! `GET /healthz`: the process is alive. `GET /readyz`: it takes jobs; 503 with the reason when the broker cannot be
//! reached or the worker was told to stop; a note when the broker takes no messages, since it has no memory or disk left.
//! `GET /metrics`: every metric of the process.

use std::{borrow::Cow, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use seedbed_protocol::{
    broker::{Broker, Trouble},
    telemetry::{METRICS_CONTENT_TYPE, metrics_text},
};
use tokio::{net::TcpListener, runtime::Builder};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::error;

/// What readiness depends on.
#[derive(Clone)]
struct Probed {
    broker: Arc<dyn Broker>,
    drain: CancellationToken,
}

/// The HTTP server of the probes, on a thread and a runtime of its own: whatever jobs do, it answers. It ends when this is
/// dropped.
#[derive(Debug)]
pub struct HealthServer {
    address: SocketAddr,
    _running: DropGuard,
}

impl HealthServer {
    /// Listens on `address`, for a worker on `broker` that takes no more jobs after `drain`.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the system refuses a thread.
    pub fn start(
        address: SocketAddr,
        broker: Arc<dyn Broker>,
        drain: CancellationToken,
    ) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let running = stop.clone().drop_guard();
        let probed = Probed { broker, drain };
        let serving = move || {
            if let Err(error) = serve(listener, probed, &stop) {
                error!("probes are not answered: {error}");
            }
        };
        std::thread::Builder::new()
            .name("probes".to_owned())
            .spawn(serving)?;
        Ok(Self {
            address,
            _running: running,
        })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until `stop`, on this thread.
fn serve(
    listener: std::net::TcpListener,
    probed: Probed,
    stop: &CancellationToken,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probed);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            served = axum::serve(listener, routes) => served,
            () = stop.cancelled() => Ok(()),
        }
    })
}

async fn metrics() -> impl IntoResponse {
    ([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics_text())
}

async fn ready(State(probed): State<Probed>) -> (StatusCode, Cow<'static, str>) {
    let unready = |reason: &'static str| (StatusCode::SERVICE_UNAVAILABLE, reason.into());
    if probed.drain.is_cancelled() {
        return unready("stopping\n");
    }
    match probed.broker.trouble() {
        None => (StatusCode::OK, "ready\n".into()),
        // Jobs are still taken and worked on; what is reported waits.
        Some(blocked @ Trouble::Blocked { .. }) => {
            (StatusCode::OK, format!("ready, but {blocked}\n").into())
        }
        // The reason names users and queues, and is in the log.
        Some(Trouble::Refused { .. }) => (
            StatusCode::OK,
            "ready, but RabbitMQ refuses what is needed\n".into(),
        ),
        Some(Trouble::Away { .. }) => unready("no connection to the broker\n"),
    }
}

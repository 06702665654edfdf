//! Accepts connections, limits their number, and closes them when they are silent or when the server stops.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tracing::{debug, warn};

use super::{patience::Patient, peer::Peer};

/// Connections at a time. More wait in the system's queue.
const MAX_CONNECTIONS: usize = 4096;

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// Between two tries to accept when the system refuses, because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the server waits for its clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// For those that are being answered when it is told to stop.
    pub(super) grace: Duration,
    /// For one that takes nothing of its answer.
    pub(super) slow_reader: Duration,
}

/// Answers connections by `routes` until `stop` is ready, and those that are open for at most `grace` longer.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Router,
    waits: Waits,
    stop: impl Future<Output = ()>,
) {
    // HTTP/1 only: its header timeout counts from the first moment of a connection, so that no connection stays idle for ever.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let open = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = room.clone().acquire_owned();
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = async { (place.await, listener.accept().await) } => accepted,
        };
        let (place, accepted) = accepted;
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(routes.clone().layer(Extension(Peer(peer.ip()))));
        let stream = Patient::new(stream, waits.slow_reader);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = open.watch(connection.into_owned());
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                debug!("a connection ended early: {error}");
            }
        });
    }
    drop(listener);
    // What is still open then is dropped with the process.
    let _ = tokio::time::timeout(waits.grace, open.shutdown()).await;
}

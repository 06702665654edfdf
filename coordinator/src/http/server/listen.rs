//! Accepts connections, limits their number, and lets those that are open end when the server stops.

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::connection::{Answerer, Tls, Waits};

/// Connections at a time. More wait in the system's queue.
const MAX_CONNECTIONS: usize = 4096;

/// Between two tries to accept when the system refuses, because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers connections by `routes`, over TLS if there is one, until `stop` is ready, and those that are open for at most
/// `waits.grace` longer.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    routes: Router,
    waits: Waits,
    stop: impl Future<Output = ()>,
) {
    let answerer = Answerer::new(routes, tls, waits);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (open, stopping) = (TaskTracker::new(), CancellationToken::new());
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
        let answered = answerer.clone().answer(stream, peer.ip(), stopping.clone());
        open.spawn(async move {
            let _place = place;
            if let Err(error) = answered.await {
                debug!("a connection ended early: {error}");
            }
        });
    }
    drop(listener);
    stopping.cancel();
    open.close();
    // What is still open then is dropped with the process.
    let _ = tokio::time::timeout(waits.grace, open.wait()).await;
}

//! The sockets of a server, which are there before what it answers from, and what it answers until then.

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    connection::{Tls, Waits},
    error::HttpError,
    listen,
};
use crate::{http::problem::Problem, settings::ServeConfig};

/// How long a connection that was answered without the catalog may stay open after the catalog came, and how long it may
/// take nothing.
const WAITS: Waits = Waits {
    grace: Duration::from_secs(1),
    slow_reader: Duration::from_secs(5),
};

/// Where a server listens.
pub struct Listeners {
    listener: std::net::TcpListener,
    address: SocketAddr,
    /// Speaks TLS at `listener`.
    tls: Option<Tls>,
    /// Where probes and metrics are asked for, if that is another place.
    health: Option<(std::net::TcpListener, SocketAddr)>,
}

impl Listeners {
    /// Listens where `serve` says. Connections wait until they are answered.
    ///
    /// # Errors
    /// [`HttpError`] names the setting.
    pub async fn bind(serve: &ServeConfig) -> Result<Self, HttpError> {
        let listening = |source| HttpError::Listen {
            address: serve.listen,
            source,
        };
        let tls = serve.tls()?.map(|files| Tls::open(&files)).transpose()?;
        let (listener, address) = bind(serve.listen).await.map_err(listening)?;
        let health = match serve.health_listen {
            Some(address) => {
                let bound = bind(address).await;
                Some(bound.map_err(|source| HttpError::ListenHealth { address, source })?)
            }
            None => None,
        };
        Ok(Self {
            listener,
            address,
            tls,
            health,
        })
    }

    /// Returns the URL of the address where it listens.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Returns the address where it answers probes and exposes metrics without a token, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(|(_, address)| *address)
    }

    /// Answers that the catalog is away, and not ready to probes, until `catalog` is there, which is returned.
    ///
    /// # Errors
    /// When the system refuses a socket.
    pub async fn wait_for<T>(&self, catalog: impl Future<Output = T>) -> io::Result<T> {
        let there = CancellationToken::new();
        let (requests, probes) = self.sockets()?;
        let answer = |listener: Option<TcpListener>, tls: Option<Tls>| {
            let there = there.clone();
            async move {
                if let Some(listener) = listener {
                    let stop = there.cancelled_owned();
                    listen::serve(listener, tls, routes(), WAITS, stop).await;
                }
            }
        };
        let coming = async {
            let catalog = catalog.await;
            there.cancel();
            catalog
        };
        let (catalog, (), ()) = tokio::join!(
            coming,
            answer(Some(requests), self.tls()),
            answer(probes, None)
        );
        Ok(catalog)
    }

    /// What speaks TLS at the first of them.
    pub(super) fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// The sockets, for one server.
    pub(super) fn sockets(&self) -> io::Result<(TcpListener, Option<TcpListener>)> {
        let socket =
            |listener: &std::net::TcpListener| listener.try_clone().and_then(TcpListener::from_std);
        let health = self.health.as_ref().map(|(listener, _)| socket(listener));
        Ok((socket(&self.listener)?, health.transpose()?))
    }
}

async fn bind(address: SocketAddr) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    // By tokio, which allows an address that a process has just left.
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener.into_std()?, address))
}

/// What can be said without a catalog.
fn routes() -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(unready))
        .fallback(unavailable)
}

async fn unready() -> (StatusCode, &'static str) {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "the catalog does not answer\n",
    )
}

async fn unavailable() -> Response {
    Problem::unavailable("the catalog does not answer yet; try again soon").into_response()
}

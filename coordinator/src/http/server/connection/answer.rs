//! Answers the requests of one connection.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Extension, Router, extract::Request, http::header, middleware};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{patience::Patient, stalls::Stalls, tls::Tls};
use crate::http::peer::Peer;

/// How long a client may take to shake hands, to send a request's headers, or to answer a ping.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(15);

/// After so long a connection takes no new requests, so that none stays idle for ever. What it is being answered goes on.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// Requests at a time of one connection, by HTTP/2.
const MAX_STREAMS: u32 = 100;

/// How long the server waits for its clients.
#[derive(Debug, Clone, Copy)]
pub(in crate::http::server) struct Waits {
    /// For those that are being answered when it is told to stop.
    pub(in crate::http::server) grace: Duration,
    /// For one that takes nothing of its answer.
    pub(in crate::http::server) slow_reader: Duration,
}

/// Why a connection ended early.
type Ended = Box<dyn std::error::Error + Send + Sync>;

/// Answers connections.
#[derive(Clone)]
pub(in crate::http::server) struct Answerer {
    http: Builder<TokioExecutor>,
    tls: Option<Tls>,
    routes: Router,
    slow_reader: Duration,
}

impl Answerer {
    /// Answers by `routes`, over TLS if there is one.
    pub(in crate::http::server) fn new(routes: Router, tls: Option<Tls>, waits: Waits) -> Self {
        // Without TLS nobody says which version it is. Devices and browsers then speak HTTP/1.1, so that is all there is.
        let http = Builder::new(TokioExecutor::new());
        let mut http = if tls.is_some() {
            http
        } else {
            http.http1_only()
        };
        http.http1()
            .timer(TokioTimer::new())
            // Counts from the first moment, also between two requests.
            .header_read_timeout(CLIENT_TIMEOUT);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(CLIENT_TIMEOUT)
            .keep_alive_timeout(CLIENT_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS);
        Self {
            http,
            tls,
            routes: routes.layer(middleware::map_request(name_host)),
            slow_reader: waits.slow_reader,
        }
    }

    /// Answers one connection until its client ends it; no new request once `stop` is cancelled.
    ///
    /// # Errors
    /// Why it ended early.
    pub(in crate::http::server) async fn answer(
        self,
        stream: TcpStream,
        address: IpAddr,
        stop: CancellationToken,
    ) -> Result<(), Ended> {
        let stream = Patient::new(stream, self.slow_reader);
        match self.tls.clone() {
            Some(tls) => {
                let shaken = timeout(CLIENT_TIMEOUT, tls.accept(stream)).await;
                self.speak(shaken??, address, stop).await
            }
            None => self.speak(stream, address, stop).await,
        }
    }

    async fn speak<S>(
        self,
        stream: S,
        address: IpAddr,
        stop: CancellationToken,
    ) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let by_tls = self.tls.is_some();
        let stalls = Arc::new(Stalls::new(self.slow_reader));
        let watched = stalls.clone();
        let routes = self
            .routes
            .layer(middleware::map_response(move |response| {
                let watched = watched.clone();
                async move { watched.watch(response) }
            }))
            .layer(Extension(Peer { address, by_tls }));
        let connection = self
            .http
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            stalled = stalls.wait() => return Err(stalled.into()),
            () = stop.cancelled() => {}
            () = sleep(MAX_AGE) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => ended,
            stalled = stalls.wait() => Err(stalled.into()),
        }
    }
}

/// Gives a request by HTTP/2 the header that one by HTTP/1.1 has: its `:authority` is that (RFC 9113, 8.3.1).
async fn name_host(mut request: Request) -> Request {
    let authority = request.uri().authority().map(|a| a.as_str().parse());
    if let Some(Ok(host)) = authority
        && !request.headers().contains_key(header::HOST)
    {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

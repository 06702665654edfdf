//! The body of a stream: an object, piece by piece, as it is stored or unpacked. It ends whole or breaks off; a device that
//! sees it break has no `checkpoint_complete` and applies nothing.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use seedbed_protocol::{
    error::chain,
    objects::{StorageError, unwrap},
    snapshots::SnapshotRepository,
};
use tokio::task::yield_now;
use tokio_util::io::{ReaderStream, StreamReader};
use tracing::{Span, info, warn};

use super::{accept::Accepted, metrics::FirstSyncMetrics, places::Place};
use crate::http::download::Deliveries;

/// How much is unpacked at a time, in bytes.
const UNPACKED_BYTES: usize = 1 << 16;

/// Returns the body. The first piece is read before: an object that is gone can still be told by the status.
pub(super) async fn open(
    snapshots: &SnapshotRepository,
    accepted: &Accepted<'_>,
    place: Place,
    metrics: &Arc<FirstSyncMetrics>,
    deliveries: &Arc<Deliveries>,
) -> Result<Body, StorageError> {
    let rendition = accepted.rendition;
    let mut pieces = snapshots.pieces(&rendition.key, rendition.bytes);
    let first = match pieces.next().await {
        Some(first) => Some(first?),
        None => None,
    };
    let pieces = stream::iter(first.map(Ok)).chain(pieces);
    let pieces = pieces.map_err(|error| {
        warn!("a first sync breaks off: {}", chain(&error));
        io::Error::other(error)
    });
    let pieces: BoxStream<'static, io::Result<Bytes>> = match accepted.unpacked {
        false => pieces.boxed(),
        true => {
            let content = unwrap(rendition.encoding, StreamReader::new(pieces.boxed()));
            ReaderStream::with_capacity(content, UNPACKED_BYTES).boxed()
        }
    };
    let switch = deliveries.clone();
    let pieces = pieces.map(move |piece| match switch.is_off() {
        true => Err(io::Error::other("no snapshots are handed out now")),
        false => piece,
    });
    metrics.opened(1);
    Ok(Body::from_stream(Sending {
        pieces: breaking_off(pieces).boxed(),
        outcome: "cut",
        sent: 0,
        metrics: metrics.clone(),
        deliveries: deliveries.clone(),
        span: Span::current(),
        _place: place,
    }))
}

/// Returns the pieces, and an error only once the connection could send what came before it. A connection that meets an error is closed
/// with all that it still holds; a device would not even see the head of the answer, and ask again.
fn breaking_off(
    pieces: impl Stream<Item = io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    pieces.or_else(|error| async {
        yield_now().await;
        Err(error)
    })
}

/// A stream on its way to a device.
struct Sending {
    pieces: BoxStream<'static, io::Result<Bytes>>,
    /// What has become of it if it is dropped now.
    outcome: &'static str,
    sent: u64,
    metrics: Arc<FirstSyncMetrics>,
    deliveries: Arc<Deliveries>,
    /// That of the request, for the last line about it.
    span: Span,
    _place: Place,
}

impl Stream for Sending {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.pieces.poll_next_unpin(context);
        match &piece {
            Poll::Ready(Some(Ok(bytes))) => {
                self.sent += bytes.len() as u64;
                self.metrics.sent(bytes.len() as u64);
            }
            Poll::Ready(Some(Err(_))) if self.deliveries.is_off() => self.outcome = "switched_off",
            Poll::Ready(Some(Err(_))) => self.outcome = "failed",
            Poll::Ready(None) if self.outcome == "cut" => self.outcome = "served",
            _ => {}
        }
        piece
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.metrics.opened(-1);
        self.metrics.ended(self.outcome);
        self.span.in_scope(|| {
            info!(
                target: "seedbed::access",
                outcome = self.outcome,
                bytes = self.sent,
                "a first sync ends"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_breaks_off_at_once_has_sent_its_head() {
        let answer = || async {
            let broken = io::Error::other("the object is gone");
            Body::from_stream(breaking_off(stream::iter([
                Ok(Bytes::from_static(b"{}")),
                Err(broken),
            ])))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let routes = Router::new().route("/", get(answer));
        tokio::spawn(async { axum::serve(listener, routes).await });
        let mut response = reqwest::get(url).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.chunk().await.unwrap().unwrap(), "{}");
        response.chunk().await.unwrap_err();
    }
}

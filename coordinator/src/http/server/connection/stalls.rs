//! Finds answers that their client has stopped to take. One of many on an HTTP/2 connection can stall while the connection
//! itself is alive: it would hold what it is read from for ever.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::Response,
};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};

/// An answer of this connection has stalled.
#[derive(Debug, thiserror::Error)]
#[error("the client takes nothing of an answer (serve.slow_reader)")]
pub(super) struct Stalled;

/// Since when a part of an answer waits to be taken; `None` while it is the server that has to go on.
type Since = Mutex<Option<Instant>>;

/// The answers of one connection.
pub(super) struct Stalls {
    most: Duration,
    open: Mutex<Vec<Weak<Since>>>,
}

impl Stalls {
    /// An answer has stalled when nothing is taken of it for `most`.
    pub(super) fn new(most: Duration) -> Self {
        Self {
            most,
            open: Mutex::default(),
        }
    }

    /// Watches how an answer is taken.
    pub(super) fn watch(&self, answer: Response<Body>) -> Response<Body> {
        let since = Arc::new(Since::default());
        self.lock().push(Arc::downgrade(&since));
        answer.map(|inner| Body::new(Watched { inner, since }))
    }

    /// Waits until one has stalled.
    pub(super) async fn wait(&self) -> Stalled {
        loop {
            sleep(self.most / 2).await;
            let mut open = self.lock();
            open.retain(|since| since.strong_count() > 0);
            let now = Instant::now();
            let stalled = |since: &Since| {
                let since = since.lock().unwrap_or_else(PoisonError::into_inner);
                since.is_some_and(|since| now - since >= self.most)
            };
            if open
                .iter()
                .filter_map(Weak::upgrade)
                .any(|since| stalled(&since))
            {
                return Stalled;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Since>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's body. Whoever sends it asks for the next part when there is room for it.
struct Watched {
    inner: Body,
    since: Arc<Since>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let waits = polled.is_ready().then(Instant::now);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = waits;
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_stalls_and_one_that_waits_for_the_server_does_not() {
        let stalls = Stalls::new(Duration::from_secs(10));
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from("part")));
        let taken = stalls.watch(Response::new(Body::from_stream(endless)));
        let silent = stream::pending::<Result<Bytes, std::io::Error>>();
        let silent = stalls.watch(Response::new(Body::from_stream(silent)));
        let mut taken = taken.into_body().into_data_stream();
        let mut silent = silent.into_body().into_data_stream();
        let slowly = async {
            for _ in 0..10 {
                taken.next().await.unwrap().unwrap();
                sleep(Duration::from_secs(8)).await;
            }
        };
        tokio::select! {
            () = slowly => {}
            _ = silent.next() => panic!("nothing comes"),
            stalled = stalls.wait() => panic!("{stalled} too early"),
        }
        stalls.wait().await;
    }
}

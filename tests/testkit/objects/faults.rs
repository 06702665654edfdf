//! Injects faults between a program and an object store, and counts what passed.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::stream;
use tokio::sync::watch;

/// Faults that a test switches on, and a log of the requests.
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    requests: Mutex<Vec<String>>,
    one_in: AtomicU64,
    failed: AtomicU64,
    held: watch::Sender<usize>,
    hold: watch::Sender<Option<String>>,
    lacking: Mutex<Option<Lacking>>,
    refused: AtomicU64,
}

/// Something that a service lacks: which requests are of that kind, and how it refuses them.
struct Lacking {
    wanted: fn(&Request) -> bool,
    status: u16,
    body: &'static str,
}

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(Shared {
            requests: Mutex::default(),
            one_in: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            held: watch::Sender::new(0),
            hold: watch::Sender::new(None),
            lacking: Mutex::default(),
            refused: AtomicU64::new(0),
        }))
    }
}

impl Faults {
    /// Fails one request in `n` from now on, in turn by 503, by closing the connection, and by closing it
    /// after the server has done what was asked. 0 fails none.
    pub fn fail_one_in(&self, n: u64) {
        self.0.one_in.store(n, SeqCst);
    }

    /// Refuses every request of one kind from now on, as a service does that lacks it.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn refuse(&self, wanted: fn(&Request) -> bool, status: u16, body: &'static str) {
        *self.0.lacking.lock().expect("nobody panics with it") = Some(Lacking {
            wanted,
            status,
            body,
        });
    }

    /// Requests that were refused so far.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(SeqCst)
    }

    /// Requests that failed so far.
    pub fn failed(&self) -> u64 {
        self.0.failed.load(SeqCst)
    }

    /// Keeps every request whose method and address contain `text` waiting.
    pub fn hold(&self, text: &str) {
        self.0.hold.send_replace(Some(text.to_owned()));
    }

    /// Releases what [`Self::hold`] keeps waiting.
    pub fn release(&self) {
        self.0.hold.send_replace(None);
    }

    /// Waits until `n` requests are held.
    ///
    /// # Panics
    /// When they do not come for a minute.
    pub async fn held(&self, n: usize) {
        let mut held = self.0.held.subscribe();
        let enough = held.wait_for(|&held| held >= n);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), enough).await;
        waited
            .expect("requests are held within a minute")
            .expect("the sender lives in self");
    }

    /// How many requests are held now.
    pub fn holds(&self) -> usize {
        *self.0.held.borrow()
    }

    /// Requests so far whose method and address contain `text`.
    pub fn requests(&self, text: &str) -> usize {
        let requests = self.0.requests.lock().expect("nobody panics with it");
        requests.iter().filter(|line| line.contains(text)).count()
    }
}

pub(super) async fn layer(
    State(Faults(shared)): State<Faults>,
    request: Request,
    next: Next,
) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let number = {
        let mut requests = shared.requests.lock().expect("nobody panics with it");
        requests.push(line.clone());
        requests.len() as u64
    };
    wait_while_held(&shared, &line).await;
    if let Some(refusal) = refusal(&shared, &request) {
        return refusal;
    }
    let one_in = shared.one_in.load(SeqCst);
    if one_in == 0 || number % one_in != 0 {
        return next.run(request).await;
    }
    match shared.failed.fetch_add(1, SeqCst) % 3 {
        0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        1 => hang_up(),
        _ => {
            next.run(request).await;
            hang_up()
        }
    }
}

fn refusal(shared: &Shared, request: &Request) -> Option<Response> {
    let lacking = shared.lacking.lock().expect("nobody panics with it");
    let lacking = lacking
        .as_ref()
        .filter(|lacking| (lacking.wanted)(request))?;
    shared.refused.fetch_add(1, SeqCst);
    let status = StatusCode::from_u16(lacking.status).expect("it is a status");
    Some((status, lacking.body).into_response())
}

async fn wait_while_held(shared: &Shared, line: &str) {
    let mut hold = shared.hold.subscribe();
    let free = |hold: &Option<String>| !hold.as_ref().is_some_and(|text| line.contains(text));
    if free(&hold.borrow_and_update()) {
        return;
    }
    shared.held.send_modify(|held| *held += 1);
    // Also when the client gives up, which drops this future.
    let _released = Released(shared);
    let _ = hold.wait_for(free).await;
}

struct Released<'a>(&'a Shared);

impl Drop for Released<'_> {
    fn drop(&mut self) {
        self.0.held.send_modify(|held| *held -= 1);
    }
}

/// An answer whose body breaks before its first byte, which closes the connection without a word.
fn hang_up() -> Response {
    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
    Body::from_stream(stream::iter([Err::<String, _>(broken)])).into_response()
}

//! Everything at a glance, once or live.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use chrono::Utc;
use futures::{Stream, StreamExt, stream};
use seedbed_protocol::broker::{Broker, BrokerError, Queue};
use tokio::sync::{Notify, watch};
use tracing::warn;

use super::types::{Messages, Overview, Run};
use crate::http::server::routes::App;
use crate::{
    cli::commands::status::Parked,
    http::problem::{Problem, ProblemBody},
};

/// Runs at a glance.
const RUNS: i64 = 20;

/// Between two looks while somebody watches.
const LOOK: Duration = Duration::from_secs(1);

/// How long the broker has to tell what waits.
const BROKER_TIMEOUT: Duration = Duration::from_secs(1);

/// Proxies give up connections that are silent for longer.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// What all who watch are shown. One look serves all of them, and nobody looks while nobody watches.
pub(crate) struct Overviews {
    shown: watch::Sender<Option<Overview>>,
    /// Somebody begins to watch.
    watched: Notify,
}

impl Overviews {
    pub(crate) fn new() -> Self {
        Self {
            shown: watch::Sender::new(None),
            watched: Notify::new(),
        }
    }

    fn watch(&self) -> watch::Receiver<Option<Overview>> {
        let receiver = self.shown.subscribe();
        self.watched.notify_one();
        receiver
    }
}

/// Looks for those who watch, until it is dropped.
pub(crate) async fn keep_looking(app: Arc<App>) -> Infallible {
    let Overviews { shown, watched } = &app.overviews;
    loop {
        if shown.receiver_count() == 0 {
            watched.notified().await;
        }
        match look(&app).await {
            Ok(now) => {
                shown.send_if_modified(|before| {
                    let differs = before.as_ref().is_none_or(|before| !before.is_like(&now));
                    if differs {
                        *before = Some(now);
                    }
                    differs
                });
            }
            Err(problem) => warn!("the overview stays as it is: {problem:?}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Overview {
    /// Whether nothing has changed but the time.
    fn is_like(&self, other: &Self) -> bool {
        let now = self.now;
        Self {
            now,
            ..other.clone()
        } == *self
    }
}

async fn look(app: &App) -> Result<Overview, Problem> {
    let now = Utc::now();
    let runs = app.catalog.runs(RUNS).await?;
    let runs: Vec<Run> = runs.into_iter().map(Run::from).collect();
    let freshness = app.catalog.freshness(now).await?;
    let messages = tokio::time::timeout(BROKER_TIMEOUT, messages(app.broker.as_ref())).await;
    let (parked, waiting) = match messages {
        Ok(Ok((parked, waiting))) => (Some(parked), Some(waiting)),
        _ => (None, None),
    };
    let schedule = app.serve.schedule.as_ref();
    Ok(Overview {
        now,
        version: env!("CARGO_PKG_VERSION"),
        stores: freshness.stores(),
        freshness: freshness.into(),
        parked,
        waiting,
        current_run: runs.iter().find(|run| run.is_running()).cloned(),
        runs,
        trace_url: app.serve.trace_url.clone(),
        scheduled: schedule.and_then(|schedule| schedule.next(now)),
    })
}

async fn messages(broker: &dyn Broker) -> Result<(Messages, Messages), BrokerError> {
    let parked = Parked::of(broker).await?.into();
    let waiting = Messages {
        jobs: broker.waiting(Queue::Jobs).await?,
        events: broker.waiting(Queue::Events).await?,
    };
    Ok((parked, waiting))
}

/// Everything at a glance
#[utoipa::path(
    get,
    path = "/api/overview",
    tag = "overview",
    security(("admin" = [])),
    responses(
        (status = 200, body = Overview),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
pub(crate) async fn overview(State(app): State<Arc<App>>) -> Result<Json<Overview>, Problem> {
    Ok(Json(look(&app).await?))
}

/// Everything at a glance, at once and whenever it changes
///
/// Server-sent events named `overview`, each with what GET /api/overview answers.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "overview",
    security(("admin" = [])),
    responses(
        (status = 200, description = "A stream that does not end", content_type = "text/event-stream", body = String),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
    ),
)]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = app.overviews.watch();
    let stopping = app.stopping.clone();
    // What is known already comes at once, although it may be what the last who watched has left.
    let shown = stream::unfold((receiver, true), async |(mut receiver, first)| {
        if !first || receiver.borrow().is_none() {
            receiver.changed().await.ok()?;
        }
        let overview = receiver.borrow_and_update().clone();
        Some((overview, (receiver, false)))
    });
    let events = shown.filter_map(async |overview| {
        // What has not changed for long is still so now: the page sets its clock by this.
        let now = Utc::now();
        let event = Event::default()
            .event("overview")
            .json_data(Overview { now, ..overview? });
        Some(Ok(event.expect("an overview is plain JSON")))
    });
    Sse::new(events.take_until(stopping.cancelled_owned()))
        .keep_alive(KeepAlive::new().interval(KEEPALIVE))
}

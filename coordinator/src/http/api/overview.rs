//! `/api/overview` and `/api/events`: runs, how fresh the stores are and the queues, once or live.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use chrono::Utc;
use futures::{Stream, StreamExt, stream};
use seedbed_protocol::text;

use super::{
    extract::{Asked, Nothing},
    state::Api,
    types::Overview,
};
use crate::http::{
    auth::Caller,
    json::Json,
    problem::{Problem, ProblemBody},
    responses::{Failures, NotAdmin, RateLimited},
};

/// Proxies close connections that are silent for longer.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// An overview: runs, how fresh the stores are, queues
#[utoipa::path(
    get,
    path = "/api/overview",
    tag = "overview",
    security(("admin" = [])),
    responses(
        (status = 200, body = Overview),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn overview(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
) -> Result<Json<Overview>, Problem> {
    Ok(Json(api.overview().await?))
}

/// The state of everything, at once and whenever it changes
///
/// Server-sent events named `overview`, each with what GET /api/overview answers.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "overview",
    security(("admin" = [])),
    responses(
        (status = 200, description = "A stream of overviews, which ends only when the connection is closed", content_type = "text/event-stream", body = String),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
    ),
)]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
    Extension(caller): Extension<Caller>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = api.overviews.watch();
    let stopping = api.stopping.clone();
    // What is known already is sent at once, although it may be what the last watcher has left.
    let shown = stream::unfold((receiver, true), async |(mut receiver, first)| {
        if !first || receiver.borrow().is_none() {
            receiver.changed().await.ok()?;
        }
        let overview = receiver.borrow_and_update().clone();
        Some((overview, (receiver, false)))
    });
    let catalog = api.catalog.clone();
    // What a revoked token has opened ends, also when the catalog cannot say.
    let allowed = shown.take_while(move |_| {
        let (caller, catalog) = (caller.clone(), catalog.clone());
        async move { caller.is_still_in(&catalog).await.unwrap_or(false) }
    });
    let events = allowed.filter_map(async |overview| {
        // What has not changed is still so now: the page sets its clock by this.
        let now = Utc::now();
        let json = text::json(&Overview { now, ..overview? });
        let json = json.expect("an overview is plain JSON");
        Some(Ok(Event::default().event("overview").data(json)))
    });
    Sse::new(events.take_until(stopping.cancelled_owned()))
        .keep_alive(KeepAlive::new().interval(KEEPALIVE))
}

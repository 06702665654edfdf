//! What no request may exceed or do without.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};
use tower_http::{
    catch_panic::{CatchPanicLayer, ResponseForPanic},
    cors::CorsLayer,
};

use super::access_log::client_address;
use crate::http::problem::Problem;
use crate::http::server::routes::App;

/// The largest request body: a few thousand store ids.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// How many times the requests of a second may come at once.
const BURST: u32 = 10;

/// How often addresses are forgotten that have been quiet.
const FORGET: Duration = Duration::from_secs(30);

/// How long browsers remember that this server is to be reached by TLS only.
const TRANSPORT_SECURITY: &str = "max-age=31536000";

/// Requests of one address.
pub(crate) struct RateLimit(Option<DefaultKeyedRateLimiter<IpAddr>>);

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> Self {
        let quota = |rate: NonZeroU32| {
            let burst = NonZeroU32::new(rate.get().saturating_mul(BURST)).unwrap_or(rate);
            Quota::per_second(rate).allow_burst(burst)
        };
        let limit = NonZeroU32::new(per_second).map(quota);
        Self(limit.map(DefaultKeyedRateLimiter::keyed))
    }

    /// Counts a request of `address`; the error is how long it should have waited.
    fn check(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        let checked = limiter.check_key(&network(address));
        checked.map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }
}

/// Who counts as one: an address, or the network of one, of which whoever has an address of IPv6 has a whole one.
fn network(address: IpAddr) -> IpAddr {
    // An IPv4 client of a listener for both comes as ::ffff:a.b.c.d.
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// Forgets who has been quiet, again and again.
pub(crate) async fn keep_forgetting(app: Arc<App>) -> Infallible {
    loop {
        tokio::time::sleep(FORGET).await;
        if let RateLimit(Some(limiter)) = &app.rate_limit {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// Refuses who asks too often.
pub(crate) async fn in_moderation(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let address = client_address(&request, app.serve.behind_proxy);
    match address.map(|address| app.rate_limit.check(address)) {
        Some(Err(wait)) => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "too many requests from this address; come back later (serve.rate_limit)",
        )
        .retry_after(wait)),
        _ => Ok(next.run(request).await),
    }
}

/// Gives up a request that takes too long. What it has started, such as a run, goes on.
pub(crate) async fn in_time(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let answered = tokio::time::timeout(app.serve.request_timeout, next.run(request)).await;
    answered.map_err(|_| Problem::unavailable("this took too long; try again later"))
}

pub(crate) fn body_size() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_BODY_BYTES)
}

pub(crate) fn panics() -> CatchPanicLayer<Panicked> {
    CatchPanicLayer::custom(Panicked)
}

/// What is answered when a handler panics. The panic itself is in the log.
#[derive(Clone, Copy)]
pub(crate) struct Panicked;

impl ResponseForPanic for Panicked {
    type ResponseBody = axum::body::Body;

    fn response_for_panic(&mut self, _: Box<dyn std::any::Any + Send>) -> Response {
        let message = "this request met a bug; the server's log has it";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", message).into_response()
    }
}

/// Lets web pages of these origins ask for downloads.
pub(crate) fn cross_origin(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| origin.parse().ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<HeaderValue>>())
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::AUTHORIZATION, header::RANGE, header::IF_RANGE])
        .expose_headers([
            header::RETRY_AFTER,
            header::ETAG,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
        ])
}

/// Tells browsers what they must not do with anything of this server.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let by_tls = request
        .headers()
        .get("x-forwarded-proto")
        .is_some_and(|protocol| protocol == "https");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value| {
        // A page may be stricter, or less so where it has to be.
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    add(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    );
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::REFERRER_POLICY, "no-referrer");
    add(header::CACHE_CONTROL, "no-store");
    add(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    if by_tls {
        add(header::STRICT_TRANSPORT_SECURITY, TRANSPORT_SECURITY);
    }
    response
}

pub(crate) async fn unknown() -> Problem {
    Problem::not_found("unknown_path", "there is nothing here; / is the dashboard")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
        let limit = RateLimit::new(2);
        let (busy, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let refused = (0..100).find_map(|_| limit.check(busy).err());
        let wait = refused.expect("100 at once are more than twenty");
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        limit.check(other).unwrap();
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        while limit.check(of("2001:db8:1:1::1")).is_ok() {}
        assert!(
            limit.check(of("2001:db8:1:1:9::2")).is_err(),
            "the same network"
        );
        limit.check(of("2001:db8:1:2::1")).unwrap();
        while limit.check(of("::ffff:10.0.0.1")).is_ok() {}
        limit.check(of("::ffff:10.0.0.2")).unwrap();
        let none = RateLimit::new(0);
        assert!((0..100).all(|_| none.check(busy).is_ok()));
    }
}

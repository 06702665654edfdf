//! The access log: one line for each request, within the caller's trace. Neither query strings nor headers are in it:
//! they hold signatures and tokens.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use seedbed_protocol::trace::{TRACEPARENT, TRACESTATE, TraceContext, fail};
use tracing::{Instrument, info, info_span};

use super::routes::App;

/// Who has connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Answers a request within a span, and logs how that went.
pub(crate) async fn log(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    // The pattern, where there is one: names of stores are for those who may know them.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(|route| route.as_str().to_owned());
    let name = match &route {
        Some(route) => format!("{method} {route}"),
        None => method.to_string(),
    };
    let address = client_address(&request, app.serve.behind_proxy);
    let span = info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        http.request.method = %method,
        http.route = route.as_deref(),
        http.response.status_code = tracing::field::Empty,
        seedbed.store_id = tracing::field::Empty,
    );
    caller_of(request.headers()).adopt(&span);
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        fail(&span, "server", &status);
    }
    app.metrics.answered(
        method.as_str(),
        route.as_deref(),
        status.as_u16(),
        started.elapsed(),
    );
    span.in_scope(|| {
        info!(
            target: "seedbed::access",
            %method,
            path,
            status = status.as_u16(),
            millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            client = address.map(tracing::field::display),
        );
    });
    response
}

/// The trace that the caller is in.
fn caller_of(headers: &HeaderMap) -> TraceContext {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
    TraceContext {
        traceparent: text(TRACEPARENT),
        tracestate: text(TRACESTATE),
    }
}

/// Where a request comes from: who has connected, or whom the proxy names that has. Of several names the last: it is
/// the proxy's own word, the others are the client's.
pub(crate) fn client_address(request: &Request, behind_proxy: bool) -> Option<IpAddr> {
    let forwarded = || {
        let values = request.headers().get_all("x-forwarded-for");
        let last = values.iter().next_back()?.to_str().ok()?;
        address_of(last.rsplit(',').next()?.trim())
    };
    let peer = || request.extensions().get::<Peer>().map(|peer| peer.0);
    if behind_proxy {
        forwarded().or_else(peer)
    } else {
        peer()
    }
}

/// An address as proxies write it: with or without a port, of IPv6 with or without brackets.
fn address_of(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_a_proxys_word_about_the_client_counts() {
        let mut request = Request::builder()
            .header("x-forwarded-for", "9.9.9.9, 10.0.0.7")
            .body(Body::empty())
            .unwrap();
        let peer: IpAddr = [127, 0, 0, 1].into();
        request.extensions_mut().insert(Peer(peer));
        assert_eq!(client_address(&request, false), Some(peer));
        assert_eq!(client_address(&request, true), Some([10, 0, 0, 7].into()));
    }

    #[test]
    fn addresses_are_understood_as_proxies_write_them() {
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        for text in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711"] {
            assert_eq!(address_of(text), Some(v6), "{text}");
        }
        assert_eq!(address_of("10.0.0.7:4711"), Some([10, 0, 0, 7].into()));
        assert_eq!(address_of("unknown"), None);
    }
}

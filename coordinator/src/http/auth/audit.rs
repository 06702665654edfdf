//! Records what callers change by the API: before it begins, and what came of it.

use axum::{
    RequestExt,
    body::{Body, to_bytes},
    extract::{MatchedPath, RawPathParams, Request},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use serde_json::{Map, Value};
use tracing::warn;

use crate::{
    catalog::{AuditId, Catalog, Deed},
    http::problem::Problem,
};

/// Larger bodies are lists of stores, of which only the size is recorded. In bytes.
const MAX_DETAIL: usize = 1_500;

/// Answers a request that changes something, within an entry of the audit log.
pub(super) async fn audited(
    catalog: &Catalog,
    actor: &str,
    origin: String,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (request, deed) = deed_of(actor, origin, request).await?;
    let entry = catalog.begin_deed(&deed).await?;
    let response = next.run(request).await;
    // Whoever has gone away meanwhile has done it all the same.
    end(catalog, &deed, &entry, response.status()).await;
    Ok(response)
}

/// Records that somebody who is known was not allowed to change something.
pub(super) async fn refused(
    catalog: &Catalog,
    actor: &str,
    origin: String,
    request: Request,
) -> Result<(), Problem> {
    let (_, deed) = deed_of(actor, origin, request).await?;
    let entry = catalog.begin_deed(&deed).await?;
    end(catalog, &deed, &entry, StatusCode::FORBIDDEN).await;
    Ok(())
}

async fn end(catalog: &Catalog, deed: &Deed, entry: &AuditId, status: StatusCode) {
    let ended = catalog.end_deed(entry, &outcome_of(status)).await;
    if let Err(error) = ended {
        warn!(
            "the audit log does not say how {} ended: {error}",
            deed.action
        );
    }
}

/// Returns the request, and what it asks for.
async fn deed_of(
    actor: &str,
    origin: String,
    mut request: Request,
) -> Result<(Request, Deed), Problem> {
    let action = action_of(&request);
    let subject = request.extract_parts::<RawPathParams>().await.ok();
    let subject = subject.and_then(|path| Some(path.iter().next()?.1.to_owned()));
    let (request, detail) = detail_of(request).await?;
    let deed = Deed {
        actor: actor.to_owned(),
        origin,
        action,
        subject: subject.unwrap_or_default(),
        detail,
    };
    Ok((request, deed))
}

/// Returns what is done, by the words of the path: `run.cancel` of `POST /api/runs/{run_id}/cancel`.
fn action_of(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or_else(|| request.uri().path(), MatchedPath::as_str);
    let words = path.trim_start_matches("/api/").split('/');
    let mut words = words.filter(|word| !word.starts_with('{'));
    let noun = words.next().unwrap_or_default().trim_end_matches('s');
    let verb = words.next().unwrap_or(match (noun, request.method()) {
        ("run", &Method::POST) => "start",
        ("delivery", _) => "set",
        (_, &Method::POST) => "create",
        (_, &Method::DELETE) => "remove",
        _ => "change",
    });
    format!("{noun}.{verb}")
}

/// Returns the request, and its body as far as that says what was asked for.
async fn detail_of(request: Request) -> Result<(Request, String), Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match length {
        None | Some(0) => return Ok((request, String::new())),
        Some(bytes) if bytes > MAX_DETAIL => {
            return Ok((request, format!("{{\"bytes\":{bytes}}}")));
        }
        Some(_) => {}
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_DETAIL).await;
    let body = body.map_err(|_| Problem::invalid("the body breaks off"))?;
    let asked: Option<Map<String, Value>> = serde_json::from_slice(&body).ok();
    let asked = asked.filter(|asked| !asked.is_empty()).map(Value::Object);
    let detail = asked.map_or_else(String::new, |asked| asked.to_string());
    Ok((Request::from_parts(parts, Body::from(body)), detail))
}

fn outcome_of(status: StatusCode) -> String {
    match status {
        status if status.is_success() => "done".to_owned(),
        status if status.is_client_error() => format!("refused ({})", status.as_u16()),
        status => format!("failed ({})", status.as_u16()),
    }
}

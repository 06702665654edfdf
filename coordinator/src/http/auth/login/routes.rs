//! `/login`: leads a browser to the provider, and takes it back.

use std::sync::Arc;

use axum::{
    Router,
    extract::{RawQuery, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use url::{Url, form_urlencoded};

use super::{
    begun::{Begun, MOST_SECONDS},
    callback::{Return, signed_in},
    error::LoginError,
    pages::refusal,
    return_path::return_path,
    state::Login,
};
use crate::{
    http::auth::cookie::{LOGIN_COOKIE, SESSION_COOKIE, ended, kept},
    settings::login::CALLBACK,
};

/// The pages of a login.
pub(in crate::http) fn routes(login: Arc<Login>) -> Router {
    Router::new()
        .route("/login", get(start))
        .route(CALLBACK, get(callback))
        .with_state(login)
}

/// Leads the browser to the provider. `to` is where it wants to be afterwards; `again` asks for another person.
async fn start(State(login): State<Arc<Login>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let asked: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let to = asked.iter().find(|(name, _)| name == "to");
    let to = to.map_or("/", |(_, to)| to);
    let begun = Begun::now(return_path(&login.redirect_url, to), login.now());
    let endpoints = match login.provider.endpoints().await {
        Ok(endpoints) => endpoints,
        Err(error) => {
            error.log();
            return refusal(&error);
        }
    };
    let mut url = endpoints.authorization;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &login.client_id)
        .append_pair("redirect_uri", login.redirect_url.as_str())
        .append_pair("scope", &login.scopes)
        .append_pair("state", &begun.state())
        .append_pair("nonce", &begun.nonce())
        .append_pair("code_challenge", &begun.challenge())
        .append_pair("code_challenge_method", "S256");
    if asked.iter().any(|(name, _)| name == "again") {
        url.query_pairs_mut().append_pair("prompt", "login");
    }
    let cookie = kept(LOGIN_COOKIE, &begun.cookie(), MOST_SECONDS);
    see_other(url.as_str(), [(header::SET_COOKIE, cookie)])
}

/// Takes the browser back from the provider. Whatever comes of it, that login is over.
async fn callback(State(login): State<Arc<Login>>, request: Request) -> Response {
    let over = (header::SET_COOKIE, ended(LOGIN_COOKIE));
    let back = Return::of(&request, login.behind_proxy);
    match signed_in(&login, back).await {
        Ok((session, to)) => {
            let cookie = kept(SESSION_COOKIE, session.expose(), login.lifetime.as_secs());
            let there = own(&login.redirect_url, &to);
            see_other(&there, [over, (header::SET_COOKIE, cookie)])
        }
        Err(error) => {
            error.log();
            (AppendHeaders([over]), refusal(&error)).into_response()
        }
    }
}

/// A path of this server, with its origin: nothing else can be meant by it.
fn own(redirect_url: &Url, path: &str) -> String {
    format!("{}{path}", redirect_url.origin().ascii_serialization())
}

fn see_other<const N: usize>(
    to: &str,
    headers: [(header::HeaderName, HeaderValue); N],
) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (
            StatusCode::SEE_OTHER,
            AppendHeaders(headers),
            [(header::LOCATION, to)],
        )
            .into_response(),
        Err(_) => refusal(&LoginError::Malformed("a URL has no characters of a URL")),
    }
}

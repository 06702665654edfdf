//! The end of a login: the provider has led the browser back.

use axum::{extract::Request, http::HeaderMap};
use seedbed_protocol::settings::Secret;
use url::form_urlencoded;

use super::{
    begun::Begun,
    error::LoginError,
    exchange::{tokens, userinfo, word},
    id_token,
    person::{name_of, role_of},
    state::Login,
};
use crate::{
    catalog::{Catalog, Deed, NewSession},
    http::{
        auth::cookie::{LOGIN_COOKIE, SESSION_COOKIE, cookie},
        peer::client_address,
    },
};

/// The longest code that is passed on.
const MOST_CODE: usize = 4_096;

/// What the provider says when it leads the browser back.
#[derive(Default)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    issuer: Option<String>,
}

/// A browser that comes back.
pub(super) struct Return {
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// Where it is.
    pub(super) origin: String,
}

impl Return {
    pub(super) fn of(request: &Request, behind_proxy: bool) -> Self {
        let address = client_address(request, behind_proxy);
        Self {
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            origin: address.map_or_else(String::new, |address| address.to_canonical().to_string()),
        }
    }
}

/// Signs the browser in that comes back. Returns what it shows from now on, and where it goes.
pub(super) async fn signed_in(
    login: &Login,
    Return {
        query,
        headers,
        origin,
    }: Return,
) -> Result<(Secret, String), LoginError> {
    let answer = answer_of(&query)?;
    let begun = cookie(&headers, LOGIN_COOKIE)
        .and_then(|cookie| Begun::of_cookie(cookie, &login.redirect_url, login.now()))
        .filter(|begun| answer.state.as_deref() == Some(&begun.state()))
        .ok_or(LoginError::NotBegun)?;
    if let Some(error) = &answer.error {
        return Err(LoginError::Denied(word(error)));
    }
    let endpoints = login.provider.endpoints().await?;
    match &answer.issuer {
        Some(issuer) if *issuer != login.issuer => return Err(LoginError::OtherIssuer),
        None if endpoints.says_issuer => return Err(LoginError::OtherIssuer),
        _ => {}
    }
    let code = answer.code.filter(|code| code.len() <= MOST_CODE);
    let code = code.ok_or(LoginError::Malformed("it has no code"))?;
    let tokens = tokens(login, &endpoints, &code, &begun.verifier()).await?;
    let token = id_token::checked(login, &endpoints, &tokens.id_token, &begun.nonce()).await?;
    let mut role = role_of(login, &token.claims);
    let mut more = None;
    if role.is_none() {
        more = userinfo(login, &endpoints, &tokens).await?;
        if let Some(more) = &more {
            id_token::check_same_person(&token, more)?;
            role = role_of(login, more);
        }
    }
    let name = name_of(login, &token, more.as_deref());
    let Some(role) = role else {
        let actor = crate::catalog::actor(&name, &token.subject);
        let outcome = "refused (no role)";
        record(&login.catalog, actor, origin, outcome).await?;
        return Err(LoginError::NoRole(name));
    };
    let new = NewSession {
        state: begun.state(),
        subject: token.subject,
        name,
        role,
        lifetime: login.lifetime,
    };
    // Before: an action of which nothing was recorded was not begun.
    record(&login.catalog, new.actor(), origin, "done").await?;
    let session = login.catalog.begin_session(&new).await?;
    let session = session.ok_or(LoginError::Over)?;
    end_earlier(&login.catalog, cookie(&headers, SESSION_COOKIE)).await?;
    Ok((session, begun.to))
}

/// Reads the answer. What is there twice may mean either.
fn answer_of(query: &str) -> Result<Answer, LoginError> {
    let mut answer = Answer::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "code" => &mut answer.code,
            "state" => &mut answer.state,
            "error" => &mut answer.error,
            "iss" => &mut answer.issuer,
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(LoginError::Malformed("it says something twice"));
        }
    }
    Ok(answer)
}

/// Ends the session that the browser had until now.
async fn end_earlier(catalog: &Catalog, shown: Option<&str>) -> Result<(), LoginError> {
    if let Some(shown) = shown
        && let Some(earlier) = catalog.session(shown).await?
    {
        catalog.end_session(&earlier.id).await?;
    }
    Ok(())
}

async fn record(
    catalog: &Catalog,
    actor: String,
    origin: String,
    outcome: &str,
) -> Result<(), LoginError> {
    let deed = Deed {
        actor,
        origin,
        action: "session.start".to_owned(),
        ..Deed::default()
    };
    let entry = catalog.begin_deed(&deed).await?;
    Ok(catalog.end_deed(&entry, outcome).await?)
}

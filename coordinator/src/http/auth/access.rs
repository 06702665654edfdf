//! Who may use the API: a caller with the admin token, a token of the API, or the session of a login, each within its role; with
//! `serve.open_admin` any caller, except pages of other sites. What callers change is in the audit log.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::{
    audit::{audited, refused},
    bearer::bearer,
    caller::Caller,
    cookie::{CSRF_HEADER, SESSION_COOKIE, cookie, csrf_of},
    origin::{OwnPages, is_of_another_site},
    routes::{Needed, needed},
};
use crate::{
    catalog::Catalog,
    http::{
        peer::{Failures, client_address},
        problem::Problem,
    },
    settings::ServeConfig,
};

/// Who may use the API, and where it is recorded what they do.
pub(crate) struct Access {
    door: Door,
    /// Whether people sign in by a provider of logins.
    has_login: bool,
    catalog: Catalog,
    failures: Failures,
    behind_proxy: bool,
}

/// Who is let in without a token of the API.
enum Door {
    /// Everybody; but a browser must not have been sent here by a page of another site.
    Open(OwnPages),
    /// Who shows the token with this hash. Hashes are compared: how long that takes tells nothing of the token.
    Token([u8; 32]),
    /// Nobody.
    Closed,
}

impl Access {
    pub(crate) fn new(config: &ServeConfig, has_login: bool, catalog: Catalog) -> Self {
        let door = match &config.admin_token {
            _ if config.open_admin => Door::Open(OwnPages::new(config)),
            Some(token) => Door::Token(hash(token.expose())),
            None => Door::Closed,
        };
        Self {
            door,
            has_login,
            catalog,
            failures: Failures::new(config.rate_limit > 0),
            behind_proxy: config.behind_proxy,
        }
    }

    /// Returns who the caller is; `None` for one who shows nothing.
    async fn caller(
        &self,
        method: &Method,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Option<Caller>, Problem> {
        if let Door::Open(own) = &self.door {
            return own.check(headers).map(|()| Some(Caller::anyone()));
        }
        if !headers.contains_key(header::AUTHORIZATION) {
            return self.signed_in(method, headers).await;
        }
        self.failures.check(address).map_err(|wait| {
            let message = "too many wrong tokens came from this address; try again later";
            let refusal = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
            refusal.retry_after(wait)
        })?;
        let caller = match bearer(headers) {
            Some(shown) => self.bearer_of(shown).await?,
            None => None,
        };
        if caller.is_none() {
            self.failures.count(address);
            let closed = self.closed().await?;
            let wrong = || Problem::unauthorized("this token is wrong, expired or revoked");
            return Err(closed.unwrap_or_else(wrong));
        }
        Ok(caller)
    }

    /// Returns who has signed in, if that session is good. A browser sends its cookie by itself: whatever changes something must
    /// also show that a page of this server asks.
    async fn signed_in(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Caller>, Problem> {
        let shown = match self.has_login {
            true => cookie(headers, SESSION_COOKIE),
            false => None,
        };
        let Some(shown) = shown else {
            return Ok(None);
        };
        let Some(session) = self.catalog.session(shown).await? else {
            return Ok(None);
        };
        let csrf = csrf_of(shown);
        let is_own = || {
            headers
                .get(CSRF_HEADER)
                .is_some_and(|shown| *shown == *csrf)
        };
        if !method.is_safe() && (is_of_another_site(headers) || !is_own()) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "csrf",
                "within a login, a change asks for the X-Seedbed-Csrf of GET /api/session; reload the page",
            ));
        }
        Ok(Some(Caller::signed_in(session, csrf)))
    }

    /// Returns whose token this is.
    async fn bearer_of(&self, shown: &str) -> Result<Option<Caller>, Problem> {
        if matches!(&self.door, Door::Token(expected) if hash(shown) == *expected) {
            return Ok(Some(Caller::with_admin_token()));
        }
        let Some(token) = self.catalog.token(shown).await? else {
            return Ok(None);
        };
        let caller = Caller::with(&token);
        let catalog = self.catalog.clone();
        // Nobody waits for it, least of all for a writer of the catalog.
        tokio::spawn(async move {
            if let Err(error) = catalog.token_was_used(&token).await {
                warn!("the last use of a token is not recorded: {error}");
            }
        });
        Ok(Some(caller))
    }

    /// Returns the refusal of a server that lets nobody in.
    async fn closed(&self) -> Result<Option<Problem>, Problem> {
        let is_closed = matches!(self.door, Door::Closed)
            && !self.has_login
            && !self.catalog.has_tokens().await?;
        Ok(is_closed.then(|| {
            Problem::new(
                StatusCode::FORBIDDEN,
                "admin_disabled",
                "the API and the dashboard are disabled: set serve.admin_token (SEEDBED_SERVE__ADMIN_TOKEN), make a token \
                 with `seedbed tokens create`, set [login], or on a trusted network set serve.open_admin",
            )
        }))
    }

    /// Returns the refusal of a caller who shows nothing.
    async fn nobody(&self) -> Problem {
        let missing = || {
            Problem::unauthorized(match self.has_login {
                true => {
                    "sign in at /login, or show a token: Authorization: Bearer <a token of `seedbed tokens create`>"
                }
                false => {
                    "a token is missing: Authorization: Bearer <serve.admin_token, or a token of `seedbed tokens create`>"
                }
            })
        };
        let closed = self.closed().await;
        closed.map_or_else(|problem| problem, |closed| closed.unwrap_or_else(missing))
    }
}

/// Lets those pass who have the role that the route needs, and records what they change.
pub(crate) async fn require_role(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let address = client_address(&request, access.behind_proxy);
    let route = request.extensions().get::<MatchedPath>();
    let needed = match needed(request.method(), route.map(MatchedPath::as_str)) {
        Needed::Nothing => None,
        Needed::Role(role) => Some(role),
        // Whatever handlers there are: what the table does not have is for nobody.
        Needed::Method(methods) => {
            let allowed = [(header::ALLOW, methods)];
            return Ok((StatusCode::METHOD_NOT_ALLOWED, allowed).into_response());
        }
    };
    let caller = access
        .caller(request.method(), request.headers(), address)
        .await?;
    let Some(caller) = caller else {
        return match needed {
            None => Ok(next.run(request).await),
            Some(_) => Err(access.nobody().await),
        };
    };
    let allowed = needed.map_or(Ok(()), |needed| caller.must_be(needed));
    let actor = caller.actor.clone();
    request.extensions_mut().insert(caller);
    if request.method().is_safe() {
        allowed?;
        return Ok(next.run(request).await);
    }
    let origin = address.map_or_else(String::new, |address| address.to_canonical().to_string());
    if let Err(problem) = allowed {
        refused(&access.catalog, &actor, origin, request).await?;
        return Err(problem);
    }
    audited(&access.catalog, &actor, origin, request, next).await
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

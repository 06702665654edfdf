//! Who may use the API: a caller with the admin token; with `serve.open_admin` any caller, except pages of other sites. What
//! callers change is in the audit log.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::{audit::audited, bearer::bearer};
use crate::{
    catalog::Catalog,
    http::{peer::client_address, problem::Problem},
    settings::ServeConfig,
};

/// Who may use the API, and where it is recorded what they do.
pub(crate) struct AdminAccess {
    door: Door,
    catalog: Catalog,
    behind_proxy: bool,
}

/// How administrators authenticate themselves.
enum Door {
    /// Nothing; but a browser must not have been sent here by a page of another site.
    Open(OwnPages),
    /// A token with this hash, which is compared in the same time whatever is shown.
    Token([u8; 32]),
    /// No request is let in.
    Disabled,
}

impl AdminAccess {
    pub(crate) fn new(config: &ServeConfig, catalog: Catalog) -> Self {
        let door = match &config.admin_token {
            _ if config.open_admin => Door::Open(OwnPages::new(config)),
            Some(token) => Door::Token(hash(token.expose())),
            None => Door::Disabled,
        };
        Self {
            door,
            catalog,
            behind_proxy: config.behind_proxy,
        }
    }
}

impl Door {
    /// Returns who the caller is, for the audit log.
    fn check(&self, headers: &HeaderMap) -> Result<&'static str, Problem> {
        match self {
            Self::Open(own) => own.check(headers).map(|()| "anyone"),
            Self::Disabled => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "admin_disabled",
                "the API and the dashboard are disabled: set serve.admin_token (SEEDBED_SERVE__ADMIN_TOKEN), or on a \
                 trusted network serve.open_admin",
            )),
            Self::Token(expected) => match bearer(headers) {
                Some(token) if hash(token) == *expected => Ok("admin token"),
                Some(_) => Err(Problem::unauthorized("this is not the admin token")),
                None => Err(Problem::unauthorized(
                    "the admin token is missing: Authorization: Bearer <serve.admin_token>",
                )),
            },
        }
    }
}

/// Tells the dashboard's requests from those that a page of another site makes the browser send (CSRF). Where no token is
/// needed, this is the only protection.
struct OwnPages {
    /// The host of `serve.public_url`.
    public_host: Option<String>,
}

impl OwnPages {
    fn new(config: &ServeConfig) -> Self {
        let host = config.public_url.as_ref().and_then(Url::host_str);
        Self {
            public_host: host.map(str::to_owned),
        }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
        if !host.as_ref().is_some_and(|host| self.is_own(host)) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "other_host",
                "with serve.open_admin, the API is at an IP address, at localhost, or at the host of serve.public_url: \
                 set that to the name which you have used",
            ));
        }
        if is_of_another_site(headers) || is_of_another_origin(headers, host.as_ref()) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "other_site",
                "pages of other sites may not use the API",
            ));
        }
        Ok(())
    }

    /// Guards against DNS rebinding: the owner of any other name could let it point here, and browsers would take that
    /// site's pages for this server's.
    fn is_own(&self, host: &Url) -> bool {
        match host.host() {
            Some(Host::Domain(name)) => {
                name == "localhost" || self.public_host.as_deref() == Some(name)
            }
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            None => false,
        }
    }
}

/// Whether the browser says that the request comes from another site's page (Sec-Fetch-Site).
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// The same by `Origin`, for browsers that send Sec-Fetch-Site only over TLS and to localhost. Schemes are not compared:
/// behind a proxy with TLS they differ.
fn is_of_another_origin(headers: &HeaderMap, host: Option<&Url>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| Url::parse(origin).ok());
    let place = |url: &Url| Some((url.host()?.to_owned(), url.port()));
    origin.as_ref().and_then(place) != host.and_then(place)
}

/// Lets only administrators pass, and records what they change.
pub(crate) async fn require_admin(
    State(access): State<Arc<AdminAccess>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let actor = access.door.check(request.headers())?;
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let address = client_address(&request, access.behind_proxy);
    let origin = address.map_or_else(String::new, |address| address.to_canonical().to_string());
    audited(&access.catalog, actor, origin, request, next).await
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

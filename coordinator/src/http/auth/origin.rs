//! Where a browser's request comes from: a page of this server, or of another site.

use axum::http::{HeaderMap, StatusCode, header};
use url::{Host, Url};

use crate::{http::problem::Problem, settings::ServeConfig};

/// Tells the dashboard's requests from those that a page of another site makes the browser send (CSRF). Where no token is
/// needed, this is the only protection.
pub(super) struct OwnPages {
    /// The host of `serve.public_url`.
    public_host: Option<String>,
}

impl OwnPages {
    pub(super) fn new(config: &ServeConfig) -> Self {
        let host = config.public_url.as_ref().and_then(Url::host_str);
        Self {
            public_host: host.map(str::to_owned),
        }
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
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
pub(super) fn is_of_another_site(headers: &HeaderMap) -> bool {
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

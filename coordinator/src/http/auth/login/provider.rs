//! The provider as its discovery document describes it (OpenID Connect Discovery 1.0): fetched when it is needed, with limits, and
//! cached for an hour.

use std::time::{Duration, Instant};

use seedbed_protocol::process::outbound::{self, refuse_link_local};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::error::LoginError;
use crate::{
    http::auth::keys::{Jwks, read},
    settings::login::is_safe,
};

/// After this, the document is fetched again.
const FRESH: Duration = Duration::from_secs(3_600);

/// It is not fetched more often, whoever signs in.
const FETCH_PAUSE: Duration = Duration::from_secs(5);

/// How long the provider has for an answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer that is read.
pub(super) const MOST_BYTES: usize = 256 * 1024;

/// How long keys stay valid if the provider does not answer.
const KEYS_MAX_AGE: Duration = Duration::from_secs(86_400);

/// A provider of logins.
pub(super) struct Provider {
    issuer: String,
    document: Url,
    /// Follows no redirect: what is sent is meant for this place alone.
    pub(super) client: reqwest::Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    endpoints: Option<Endpoints>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// Where the provider answers what.
#[derive(Clone)]
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) jwks: Jwks,
    /// Whether the secret goes into the body; otherwise into the Authorization header.
    pub(super) secret_in_body: bool,
    /// Whether it always says who it is when it leads a browser back (RFC 9207).
    pub(super) says_issuer: bool,
}

/// The discovery document, as far as it matters here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Option<Url>,
    jwks_uri: Url,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Provider {
    /// The provider that calls itself `issuer`.
    pub(super) fn new(issuer: &str) -> reqwest::Result<Option<Self>> {
        let document = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let Ok(document) = Url::parse(&document) else {
            return Ok(None);
        };
        let client = outbound::client_without_redirects().timeout(TIMEOUT);
        Ok(Some(Self {
            issuer: issuer.to_owned(),
            document,
            client: client.build()?,
            known: Mutex::default(),
        }))
    }

    /// Where it answers what. One that does not answer now is used as it was known last.
    pub(super) async fn endpoints(&self) -> Result<Endpoints, LoginError> {
        let mut known = self.known.lock().await;
        let passed =
            |since: Option<Instant>, time| since.is_none_or(|since| since.elapsed() > time);
        if let Some(endpoints) = &known.endpoints
            && (!passed(known.fetched, FRESH) || !passed(known.tried, FETCH_PAUSE))
        {
            return Ok(endpoints.clone());
        }
        let fetched = self.fetch().await;
        known.tried = Some(Instant::now());
        match (fetched, &known.endpoints) {
            (Ok(endpoints), _) => {
                known.fetched = known.tried;
                known.endpoints = Some(endpoints.clone());
                Ok(endpoints)
            }
            (Err(error), Some(endpoints)) => {
                error.log();
                Ok(endpoints.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Fetches the document now.
    pub(super) async fn fetch(&self) -> Result<Endpoints, LoginError> {
        let refused =
            |reason: String| LoginError::Provider(format!("its discovery document {reason}"));
        refuse_link_local(&self.document).map_err(|e| refused(format!("is refused: {e}")))?;
        let asked = async {
            let answer = self.client.get(self.document.clone()).send().await?;
            let status = answer.status();
            Ok((status, read(answer, MOST_BYTES).await?))
        };
        let (status, body) =
            (asked.await).map_err(|e| LoginError::broken("its discovery document", e))?;
        if !status.is_success() {
            return Err(refused(format!("is not there: it answers {status}")));
        }
        let document: Document =
            serde_json::from_slice(&body).map_err(|e| refused(format!("is none: {e}")))?;
        self.checked(document).map_err(refused)
    }

    fn checked(&self, document: Document) -> Result<Endpoints, String> {
        if document.issuer != self.issuer {
            return Err(format!(
                "is of {:?}; set login.issuer to exactly that if it is yours",
                document.issuer
            ));
        }
        let places = [
            (
                "authorization_endpoint",
                Some(&document.authorization_endpoint),
            ),
            ("token_endpoint", Some(&document.token_endpoint)),
            ("userinfo_endpoint", document.userinfo_endpoint.as_ref()),
            ("jwks_uri", Some(&document.jwks_uri)),
        ];
        for (name, url) in places {
            if url.is_some_and(|url| !is_safe(url) || refuse_link_local(url).is_err()) {
                return Err(format!("has a {name} that is not https://"));
            }
        }
        let jwks = Jwks::new(document.jwks_uri, "login.issuer", KEYS_MAX_AGE);
        let methods = document.token_endpoint_auth_methods_supported;
        let has = |method| (methods.as_ref()).is_some_and(|all| all.iter().any(|m| m == method));
        Ok(Endpoints {
            authorization: document.authorization_endpoint,
            token: document.token_endpoint,
            userinfo: document.userinfo_endpoint,
            jwks: jwks.map_err(|e| e.to_string())?,
            // Without a list, it takes client_secret_basic.
            secret_in_body: has("client_secret_post") && !has("client_secret_basic"),
            says_issuer: document.authorization_response_iss_parameter_supported,
        })
    }
}

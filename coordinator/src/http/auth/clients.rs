//! Which store a client may download: the one that its own JWT names, if the token verifies. Checked before anything is
//! looked up, so that no caller learns which stores exist.

use axum::http::StatusCode;
use jsonwebtoken::{Algorithm, Validation};
use seedbed_protocol::StoreId;
use serde_json::value::RawValue;

use super::{
    claim::{names, only},
    keys::{Jwks, Key, KeyError, LEEWAY, TokenHeader, verified},
};
use crate::{http::problem::Problem, settings::DownloadConfig};

/// Says with which keys clients' tokens are checked. Fetches the published ones to see whether that works.
///
/// # Errors
/// Why they cannot be checked.
pub(crate) async fn check_keys(config: &DownloadConfig) -> Result<String, String> {
    let clients = Clients::new(config).map_err(|error| error.to_string())?;
    if clients.anonymous {
        return Ok("any caller may download every snapshot (download.anonymous)".to_owned());
    }
    let mut known = Vec::new();
    if !clients.keys.is_empty() {
        known.push("the configured key".to_owned());
    }
    if let Some(jwks) = &clients.jwks {
        let published = jwks.fetch().await.map_err(|reason| {
            format!("the keys of download.jwks_url cannot be fetched: {reason}")
        })?;
        let left_out = match published.left_out.join("; ") {
            none if none.is_empty() => none,
            some => format!(" (left out: {some})"),
        };
        if published.keys.is_empty() {
            return Err(format!(
                "download.jwks_url has no public key that signs{left_out}"
            ));
        }
        known.push(format!(
            "{} keys of download.jwks_url{left_out}",
            published.keys.len()
        ));
    }
    Ok(format!("tokens are checked with {}", known.join(" and ")))
}

/// How clients authenticate themselves.
pub(crate) struct Clients {
    anonymous: bool,
    keys: Vec<Key>,
    jwks: Option<Jwks>,
    validation: Validation,
    store_claim: String,
}

impl Clients {
    pub(crate) fn new(config: &DownloadConfig) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        if let Some(secret) = &config.secret {
            let encoding = config.secret_encoding;
            keys.extend(Key::shared(secret, encoding, config.kid.as_deref())?);
        }
        if let Some(path) = &config.key_file {
            keys.push(Key::in_file(path, config.kid.clone())?);
        }
        let max_age = config.jwks_max_age;
        let jwks = config
            .jwks_url
            .clone()
            .map(|url| Jwks::new(url, "download.jwks_url", max_age));
        let jwks = jwks.transpose();
        Ok(Self {
            anonymous: config.anonymous,
            keys,
            jwks: jwks.map_err(KeyError::Jwks)?,
            validation: validation(config),
            store_claim: config.store_claim.clone(),
        })
    }

    /// Returns whether any caller can be let in.
    pub(crate) fn are_known(&self) -> bool {
        self.anonymous || !self.keys.is_empty() || self.jwks.is_some()
    }

    /// Returns whether any caller is let in, whatever the token.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Returns whether the caller with `token` may download `store_id`.
    pub(crate) async fn check(
        &self,
        token: Option<&str>,
        store_id: &StoreId,
    ) -> Result<(), Problem> {
        if self.anonymous {
            return Ok(());
        }
        let claims = self.claims_of(token).await?;
        if names(&claims, &self.store_claim, store_id) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "wrong_store",
            "the token is not for this store",
        ))
    }

    /// Returns the store of the caller with `token`, which names no other.
    pub(crate) async fn store_of(&self, token: Option<&str>) -> Result<StoreId, Problem> {
        let only = match self.anonymous {
            true => None,
            false => only(&self.claims_of(token).await?, &self.store_claim),
        };
        only.ok_or_else(|| {
            let message = "the token does not say which store is meant: ask at /stores/<the store's id>/sync/stream";
            Problem::unauthorized(message).because("which_store")
        })
    }

    async fn claims_of(&self, token: Option<&str>) -> Result<Box<RawValue>, Problem> {
        if !self.are_known() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "downloads_disabled",
                "downloads are disabled: set download.secret, download.key_file or download.jwks_url",
            ));
        }
        let token = token.ok_or_else(|| {
            Problem::unauthorized("a token is missing: Authorization: Bearer <the app's JWT>")
        })?;
        self.claims(token).await
    }

    /// The claims of the token, if it is signed with a known key and valid now.
    async fn claims(&self, token: &str) -> Result<Box<RawValue>, Problem> {
        let header = TokenHeader::of(token).map_err(refused)?;
        let mut reason = "it is signed with a key that is not known here".to_owned();
        // The backend is asked only for what the configured key does not verify.
        match verified(token, &header, &self.keys, &self.validation) {
            Ok(claims) => return Ok(claims),
            Err(fitting) => reason = fitting.unwrap_or(reason),
        }
        if let Some(jwks) = &self.jwks {
            let published = jwks.keys(header.kid.as_deref()).await?;
            match verified(token, &header, &published, &self.validation) {
                Ok(claims) => return Ok(claims),
                Err(fitting) => reason = fitting.unwrap_or(reason),
            }
        }
        Err(refused(reason))
    }
}

fn refused(reason: impl std::fmt::Display) -> Problem {
    Problem::unauthorized(format!("the token is not accepted: {reason}"))
}

fn validation(config: &DownloadConfig) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.validate_aud = config.audience.is_some();
    let mut required = vec!["exp"];
    if let Some(audience) = &config.audience {
        validation.set_audience(&[audience]);
        required.push("aud");
    }
    if let Some(issuer) = &config.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    validation.set_required_spec_claims(&required);
    validation
}

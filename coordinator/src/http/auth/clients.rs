//! Which store a client may download: the one that its own JWT names, if the token verifies. Checked before anything is
//! looked up, so that no caller learns which stores exist.

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation};
use seedbed_protocol::StoreId;
use serde_json::{Map, Value, value::RawValue};

use super::{
    algorithm::{self, algorithm},
    claim::{names, only},
    jwks::Jwks,
    key::{Key, KeyError},
};
use crate::{http::problem::Problem, settings::DownloadConfig};

/// How far the clock of the backend that signs tokens may be off, in seconds.
const LEEWAY: u64 = 30;

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
        let jwks = config.jwks_url.clone().map(|url| Jwks::new(url, max_age));
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
        match self.decode(token, &header, &self.keys) {
            Ok(claims) => return Ok(claims),
            Err(fitting) => reason = fitting.unwrap_or(reason),
        }
        if let Some(jwks) = &self.jwks {
            let published = jwks.keys(header.kid.as_deref()).await?;
            match self.decode(token, &header, &published) {
                Ok(claims) => return Ok(claims),
                Err(fitting) => reason = fitting.unwrap_or(reason),
            }
        }
        Err(refused(reason))
    }

    /// The claims of the token if one of `keys` verifies it; otherwise why not, if one of them is named at all.
    fn decode(
        &self,
        token: &str,
        header: &TokenHeader,
        keys: &[Key],
    ) -> Result<Box<RawValue>, Option<String>> {
        let (mut unfit, mut failed) = (None, None);
        for key in keys
            .iter()
            .filter(|key| key.is_named(header.kid.as_deref()))
        {
            if !key.algorithms.contains(&header.algorithm) {
                let (used, known) = (header.algorithm, algorithm::names(&key.algorithms));
                unfit = Some(format!(
                    "it is signed with {used:?}, and the key here verifies {known}"
                ));
                continue;
            }
            let mut validation = self.validation.clone();
            validation.algorithms = vec![header.algorithm];
            match jsonwebtoken::decode::<Box<RawValue>>(token, &key.key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                // What a signature covers says more than that another key did not make it.
                Err(error) if is_wrong_signature(&error) => {
                    failed.get_or_insert("its signature is wrong");
                }
                Err(error) => failed = Some(reason(&error)),
            }
        }
        Err(failed.map(str::to_owned).or(unfit))
    }
}

/// What the header of a token says.
struct TokenHeader {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl TokenHeader {
    /// Reads the header, before anything is verified.
    fn of(token: &str) -> Result<Self, &'static str> {
        let malformed = "it is not a signed JWT";
        let (header, rest) = token.split_once('.').ok_or(malformed)?;
        if rest.matches('.').count() != 1 {
            return Err(malformed);
        }
        let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| malformed)?;
        let header: Map<String, Value> = serde_json::from_slice(&json).map_err(|_| malformed)?;
        if header.contains_key("crit") {
            // RFC 7515, 4.1.11: who does not understand each of them must refuse the token.
            return Err("its header has crit, and no extension is understood here");
        }
        let name = header.get("alg").and_then(Value::as_str).ok_or(malformed)?;
        Ok(Self {
            algorithm: algorithm(name)?,
            kid: header.get("kid").and_then(Value::as_str).map(str::to_owned),
        })
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

fn is_wrong_signature(error: &jsonwebtoken::errors::Error) -> bool {
    matches!(
        error.kind(),
        jsonwebtoken::errors::ErrorKind::InvalidSignature
    )
}

fn reason(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "its issuer (iss) is another one",
        ErrorKind::InvalidAudience => "its audience (aud) is another one",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss or aud",
        _ => "it is malformed",
    }
}

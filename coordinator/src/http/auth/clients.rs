//! Which store a client may download: the one that its own JWT names, if the token verifies. Checked before anything is
//! looked up, so that no caller learns which stores exist.

use axum::http::StatusCode;
use jsonwebtoken::{Algorithm, Header, Validation};
use seedbed_protocol::StoreId;
use serde_json::Value;

use super::{
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
        if published.is_empty() {
            return Err("download.jwks_url has no public key that signs".to_owned());
        }
        known.push(format!("{} keys of download.jwks_url", published.len()));
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
            keys.push(Key::shared(secret, config.kid.clone())?);
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

    /// Returns whether the caller with `token` may download `store_id`.
    pub(crate) async fn check(
        &self,
        token: Option<&str>,
        store_id: &StoreId,
    ) -> Result<(), Problem> {
        if self.anonymous {
            return Ok(());
        }
        if self.keys.is_empty() && self.jwks.is_none() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "downloads_disabled",
                "downloads are disabled: set download.secret, download.key_file or download.jwks_url",
            ));
        }
        let token = token.ok_or_else(|| {
            Problem::unauthorized("a token is missing: Authorization: Bearer <the app's JWT>")
        })?;
        let claims = self.claims(token).await?;
        if names(&claims, &self.store_claim, store_id) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "wrong_store",
            "the token is not for this store",
        ))
    }

    /// The claims of the token, if it is signed with a known key and valid now.
    async fn claims(&self, token: &str) -> Result<Value, Problem> {
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| Problem::unauthorized("the token is not a signed JWT"))?;
        let mut refused = "it is signed with a key that is not known here";
        // The backend is asked only for what the configured key does not verify.
        match self.decode(token, &header, &self.keys) {
            Ok(claims) => return Ok(claims),
            Err(reason) => refused = reason.unwrap_or(refused),
        }
        if let Some(jwks) = &self.jwks {
            let published = jwks.keys(header.kid.as_deref()).await?;
            match self.decode(token, &header, &published) {
                Ok(claims) => return Ok(claims),
                Err(reason) => refused = reason.unwrap_or(refused),
            }
        }
        Err(Problem::unauthorized(format!(
            "the token is not accepted: {refused}"
        )))
    }

    /// The claims of the token if one of `keys` verifies it; otherwise why not, if one of them fits it at all.
    fn decode(
        &self,
        token: &str,
        header: &Header,
        keys: &[Key],
    ) -> Result<Value, Option<&'static str>> {
        let mut refused = None;
        for key in keys.iter().filter(|key| key.fits(header)) {
            let mut validation = self.validation.clone();
            validation.algorithms = vec![header.alg];
            match jsonwebtoken::decode::<Value>(token, &key.key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => refused = Some(reason(&error)),
            }
        }
        Err(refused)
    }
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

fn reason(error: &jsonwebtoken::errors::Error) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidIssuer => "its issuer (iss) is another one",
        ErrorKind::InvalidAudience => "its audience (aud) is another one",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss or aud",
        ErrorKind::InvalidSignature => "its signature is wrong",
        _ => "it is malformed",
    }
}

/// Whether the claim is the store, or a list with it: a text, or a number as it is written in decimal.
fn names(claims: &Value, claim: &str, store_id: &StoreId) -> bool {
    let nested = || {
        let mut steps = claim.split('.');
        steps.try_fold(claims, |value, step| value.get(step))
    };
    let is_store = |value: &Value| match value {
        Value::String(text) => text == store_id.as_str(),
        Value::Number(number) => number.to_string() == store_id.as_str(),
        _ => false,
    };
    match claims.get(claim).or_else(nested) {
        Some(Value::Array(stores)) => stores.iter().any(is_store),
        Some(value) => is_store(value),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_names_a_store_by_text_number_or_list() {
        let store = StoreId::new("7").unwrap();
        for (claims, claim) in [
            (json!({"store_id": "7"}), "store_id"),
            (json!({"store_id": 7}), "store_id"),
            (json!({"stores": ["6", 7]}), "stores"),
            (json!({"app": {"store": "7"}}), "app.store"),
            (
                json!({"https://app.example.com/store": "7"}),
                "https://app.example.com/store",
            ),
        ] {
            assert!(names(&claims, claim, &store), "{claims}");
        }
        for claims in [
            json!({}),
            json!({"store_id": "70"}),
            json!({"store_id": 7.5}),
            json!({"store_id": {"7": "7"}}),
            json!({"store_id": []}),
            json!({"store_id": null}),
            json!("7"),
        ] {
            assert!(!names(&claims, "store_id", &store), "{claims}");
        }
    }
}

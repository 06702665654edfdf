//! Which store a client may download: the one that its own token names, if the token can be believed.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use seedbed_protocol::StoreId;
use serde_json::Value;

use super::jwks::Jwks;
use crate::{http::problem::Problem, settings::serve::DownloadConfig};

/// How far a client's backend's clock may be off, in seconds.
const LEEWAY: u64 = 30;

pub(crate) const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The shortest secret of HS256: as long as what it makes.
const MIN_SECRET_BYTES: usize = 32;

/// Why clients' tokens cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The shared secret is not base64url.
    #[error("download.secret is not base64url; give it as it stands in the `k` of a JWK")]
    Secret,
    /// The shared secret can be guessed from one token (RFC 7518, 3.2).
    #[error(
        "download.secret is too short to be safe; give at least {MIN_SECRET_BYTES} bytes in base64url"
    )]
    ShortSecret,
    /// The key file cannot be read.
    #[error("download.key_file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// It holds no key.
    #[error(
        "download.key_file {} holds no public RSA, EC (P-256, P-384) or Ed25519 key in PEM; a certificate or a \
         private key is none", path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The signing secret is not usable.
    #[error("download.signing_secret is too short to be safe; give at least 32 characters")]
    SigningSecret,
    /// The JWK set cannot be asked for.
    #[error("download.jwks_url cannot be asked: {0}")]
    Jwks(reqwest::Error),
}

/// A key, and what may be signed with it. That a token names its own algorithm proves nothing: an RSA key is no
/// secret of HS256.
#[derive(Clone)]
pub(crate) struct Key {
    /// The name that tokens must use for it, if any.
    pub(crate) kid: Option<String>,
    pub(crate) key: DecodingKey,
    pub(crate) algorithms: Vec<Algorithm>,
}

impl Key {
    fn fits(&self, header: &Header) -> bool {
        let named = self.kid.is_none() || self.kid == header.kid;
        named && self.algorithms.contains(&header.alg)
    }
}

/// Says with what clients' tokens are checked, after having tried to get it.
///
/// # Errors
/// Why they cannot be checked.
pub(crate) async fn check(config: &DownloadConfig) -> Result<String, String> {
    let clients = Clients::new(config).map_err(|error| error.to_string())?;
    if clients.anonymous {
        return Ok("everybody may download every snapshot (download.anonymous)".to_owned());
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

/// What clients have to show.
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
            let secret = URL_SAFE_NO_PAD.decode(secret.expose().trim_end_matches('='));
            let secret = secret.map_err(|_| KeyError::Secret)?;
            if secret.len() < MIN_SECRET_BYTES {
                return Err(KeyError::ShortSecret);
            }
            keys.push(Key {
                kid: config.kid.clone(),
                key: DecodingKey::from_secret(&secret),
                algorithms: vec![Algorithm::HS256],
            });
        }
        if let Some(path) = &config.key_file {
            let unreadable = |source| KeyError::Unreadable {
                path: path.clone(),
                source,
            };
            let pem = std::fs::read(path).map_err(unreadable)?;
            let (key, algorithms) =
                public_key(&pem).ok_or_else(|| KeyError::NoKey { path: path.clone() })?;
            keys.push(Key {
                kid: config.kid.clone(),
                key,
                algorithms,
            });
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

    /// Whether who shows `token` may download `store_id`. It says so before anything is looked up, so that nobody
    /// learns which stores there are.
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
                axum::http::StatusCode::FORBIDDEN,
                "downloads_disabled",
                "nobody may download: set download.secret, download.key_file or download.jwks_url",
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
            axum::http::StatusCode::FORBIDDEN,
            "wrong_store",
            "the token is not for this store",
        ))
    }

    /// What the token says, if it is signed with a key that is known, and valid now.
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

    /// What the token says if one of `keys` verifies it; else why not, if one of them fits it at all.
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

/// A public key, and the algorithms that fit it.
fn public_key(pem: &[u8]) -> Option<(DecodingKey, Vec<Algorithm>)> {
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        return Some((key, RSA.to_vec()));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        return Some((key, vec![Algorithm::ES256, Algorithm::ES384]));
    }
    let key = DecodingKey::from_ed_pem(pem).ok()?;
    Some((key, vec![Algorithm::EdDSA]))
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

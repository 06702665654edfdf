//! The service's view of JWTs: which keys it trusts, and what it answers to a token it does not.

use crate::error::ErrorReply;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest lifetime the service accepts, in seconds (recorded from powersync-service 1.25.0).
const MAX_LIFETIME: i64 = 86_400;

/// The keys of a service and its rules for tokens.
pub(crate) struct Keys {
    secret: String,
    secret_bytes: Vec<u8>,
    kid: String,
    public: HashMap<String, (Algorithm, DecodingKey)>,
    audience: Option<String>,
    expiry_tolerance: Duration,
}

/// A token that has passed.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) claims: Map<String, Value>,
    /// `exp`, in seconds since 1970.
    pub(crate) expires_at: f64,
}

impl Keys {
    /// Keys with one shared secret, base64url without padding.
    pub(crate) fn new(secret: String, kid: String) -> Self {
        let secret_bytes = BASE64_URL_SAFE_NO_PAD
            .decode(secret.trim_end_matches('='))
            .expect("the secret is base64url");
        Self {
            secret,
            secret_bytes,
            kid,
            public: HashMap::new(),
            audience: None,
            expiry_tolerance: Duration::from_secs(60),
        }
    }

    pub(crate) fn add_public(&mut self, kid: String, algorithm: Algorithm, key: DecodingKey) {
        self.public.insert(kid, (algorithm, key));
    }

    pub(crate) fn set_audience(&mut self, audience: String) {
        self.audience = Some(audience);
    }

    pub(crate) fn set_expiry_tolerance(&mut self, tolerance: Duration) {
        self.expiry_tolerance = tolerance;
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs claims with the shared secret. `sub`, `iat`, `exp` (in five minutes) and `aud` are filled in if missing.
    pub(crate) fn sign(&self, mut claims: Map<String, Value>) -> String {
        let now = now() as i64;
        let audience = self.audience.as_deref().unwrap_or("powersync");
        for (name, value) in [
            ("sub", json!("seedbed-test")),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("aud", json!(audience)),
        ] {
            claims.entry(name).or_insert(value);
        }
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(
            &header,
            &claims,
            &EncodingKey::from_secret(&self.secret_bytes),
        )
        .expect("claims are JSON and HS256 takes any secret")
    }

    /// Checks the request's token.
    pub(crate) fn verify(&self, headers: &HeaderMap) -> Result<Verified, ErrorReply> {
        let token = token(headers)
            .ok_or_else(|| ErrorReply::unauthorized("PSYNC_S2106", "Authentication required"))?;
        let claims = self.check_signature(token)?;
        let required = |name: &str| {
            claims.get(name).and_then(Value::as_f64).ok_or_else(|| {
                ErrorReply::unauthorized(
                    "PSYNC_S2101",
                    format!("missing required \"{name}\" claim"),
                )
            })
        };
        let (issued_at, expires_at) = (required("iat")?, required("exp")?);
        self.check_audience(&claims)?;
        if expires_at + self.expiry_tolerance.as_secs_f64() <= now() {
            return Err(ErrorReply::unauthorized("PSYNC_S2103", "JWT has expired"));
        }
        let lifetime = (expires_at - issued_at) as i64;
        if lifetime > MAX_LIFETIME {
            let description = format!(
                "Token must expire in a maximum of {MAX_LIFETIME} seconds, got {lifetime}s"
            );
            return Err(ErrorReply::unauthorized("PSYNC_S2104", description));
        }
        Ok(Verified { claims, expires_at })
    }

    fn check_signature(&self, token: &str) -> Result<Map<String, Value>, ErrorReply> {
        let refuse = |description: &str| ErrorReply::unauthorized("PSYNC_S2101", description);
        let header =
            jsonwebtoken::decode_header(token).map_err(|_| refuse("Token is not a valid JWT"))?;
        let kid = header.kid.as_deref();
        let shared_key;
        let (algorithm, key) = match kid.and_then(|kid| self.public.get(kid)) {
            Some((algorithm, key)) if *algorithm == header.alg => (*algorithm, key),
            None if header.alg == Algorithm::HS256 && kid.is_none_or(|kid| kid == self.kid) => {
                shared_key = DecodingKey::from_secret(&self.secret_bytes);
                (Algorithm::HS256, &shared_key)
            }
            _ => {
                let description = "Could not find an appropriate key in the keystore. \
                                   The key is missing or no key matched the token KID";
                return Err(refuse(description));
            }
        };
        let mut validation = Validation::new(algorithm);
        // The service's own rules about times and audiences, with its own answers, come after the signature.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        match jsonwebtoken::decode(token, key, &validation) {
            Ok(data) => Ok(data.claims),
            Err(error) if *error.kind() == ErrorKind::InvalidSignature => {
                Err(refuse("signature verification failed"))
            }
            Err(_) => Err(refuse("Token is not a valid JWT")),
        }
    }

    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), ErrorReply> {
        let Some(expected) = &self.audience else {
            return Ok(());
        };
        let accepted = match claims.get("aud") {
            Some(Value::String(audience)) => audience == expected,
            Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == expected),
            _ => false,
        };
        let refusal = || ErrorReply::unauthorized("PSYNC_S2105", "unexpected \"aud\" claim value");
        accepted.then_some(()).ok_or_else(refusal)
    }
}

/// The token of a request, after `Token` or `Bearer`.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer");
    (known && !token.trim().is_empty()).then_some(token.trim())
}

/// A part of a token as JSON, without any check: 0 is the header, 1 the claims.
pub(crate) fn unverified_part(token: &str, part: usize) -> Value {
    let text = token
        .split('.')
        .nth(part)
        .and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or(Value::Null)
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

//! Signs the JWT with which a job reads one store. Tokens never leave this process: messages carry claims.

use std::{path::PathBuf, time::Duration};

use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};
use seedbed_protocol::{
    message::Scope,
    settings::{
        Secret, TemplateError, TextTemplate,
        keys::{self, KeyKind, SecretEncoding},
    },
};
use serde_json::{Map, Value};

use crate::settings::{MAX_TOKEN_LIFETIME, TokenAlgorithm, TokenConfig};

/// Claims that Seedbed sets itself, so that a scope must not.
pub const RESERVED_CLAIMS: [&str; 4] = ["sub", "aud", "iat", "exp"];

/// Why no token can be signed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// HS256 without a secret.
    #[error(
        "token.secret is not set: give the HS256 secret of PowerSync's client_auth in base64url (SEEDBED_TOKEN__SECRET)"
    )]
    NoSecret,
    /// A secret that is not written as `token.secret_encoding` says.
    #[error("token.secret {0}")]
    SecretEncoding(&'static str),
    /// RS256, ES256 or EdDSA without a key.
    #[error("token.key_file is not set: {0:?} needs a private key in PEM")]
    NoKeyFile(TokenAlgorithm),
    /// A key file that cannot be read.
    #[error("token.key_file {} cannot be read: {source}", path.display())]
    KeyFile {
        path: PathBuf,
        source: std::io::Error,
    },
    /// A key file that is not a key of the algorithm.
    #[error("token.key_file {} is not a private {algorithm:?} key in PEM: {reason}", path.display())]
    Key {
        path: PathBuf,
        /// The configured algorithm.
        algorithm: TokenAlgorithm,
        /// What the file is instead, and what to do; it never quotes key material.
        reason: String,
    },
    /// A lifetime of zero or above [`MAX_TOKEN_LIFETIME`].
    #[error("token.lifetime is {}; it must be between 1s and 1h", humantime::format_duration(*.0))]
    Lifetime(Duration),
    /// A scope that sets one of [`RESERVED_CLAIMS`].
    #[error("the store's claim {0:?} is set by Seedbed itself: rename that column in source.query")]
    ReservedClaim(String),
    /// A subject that is no template, or that does not fit the scope.
    #[error("token.subject: {0}")]
    Subject(#[from] TemplateError),
    /// The signature failed.
    #[error("cannot sign the token: {0}")]
    Sign(String),
}

/// Signs tokens with one key and one set of standard claims.
pub struct TokenSigner {
    key: EncodingKey,
    header: Header,
    subject: TextTemplate,
    audience: Option<String>,
    lifetime: Duration,
    secret_read_as: Option<SecretEncoding>,
}

impl TokenSigner {
    /// Reads the key material once.
    ///
    /// # Errors
    /// [`TokenError`] names the setting that is missing or wrong.
    pub fn new(config: &TokenConfig) -> Result<Self, TokenError> {
        if config.lifetime < Duration::from_secs(1) || config.lifetime > MAX_TOKEN_LIFETIME {
            return Err(TokenError::Lifetime(config.lifetime));
        }
        let mut header = Header::new(algorithm(config));
        header.kid = config.kid.clone();
        let (key, secret_read_as) = encoding_key(config)?;
        Ok(Self {
            key,
            secret_read_as,
            header,
            subject: TextTemplate::parse(&config.subject)?,
            audience: config.audience.clone(),
            lifetime: config.lifetime,
        })
    }

    /// Returns how `token.secret` was read: in base64url or as plain text; `None` for the algorithms with a key file.
    pub fn secret_read_as(&self) -> Option<SecretEncoding> {
        self.secret_read_as
    }

    /// Returns a token for `scope`, valid from now.
    ///
    /// # Errors
    /// [`TokenError`] when the scope and the configuration do not fit.
    pub fn sign(&self, scope: &Scope) -> Result<Secret, TokenError> {
        let now = chrono::Utc::now().timestamp();
        let mut claims = self.claims(&scope.claims.0)?;
        claims.insert("iat".to_owned(), now.into());
        claims.insert(
            "exp".to_owned(),
            (now + self.lifetime.as_secs().cast_signed()).into(),
        );
        jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map(Secret::new)
            .map_err(|e| TokenError::Sign(e.to_string()))
    }

    fn claims(&self, scope: &Map<String, Value>) -> Result<Map<String, Value>, TokenError> {
        let mut claims = scope.clone();
        if let Some(reserved) = RESERVED_CLAIMS
            .into_iter()
            .find(|name| claims.contains_key(*name))
        {
            return Err(TokenError::ReservedClaim(reserved.to_owned()));
        }
        claims.insert("sub".to_owned(), self.subject.fill_text(scope)?.into());
        claims.extend(
            self.audience
                .clone()
                .map(|audience| ("aud".to_owned(), audience.into())),
        );
        Ok(claims)
    }
}

/// Returns the public halves of the keys that `config` signs with, for a service that fetches them. Returns none for
/// HS256, since its key can sign.
///
/// # Errors
/// [`TokenError`] when the key file cannot be used.
pub fn public_jwks(config: &TokenConfig) -> Result<JwkSet, TokenError> {
    let mut keys = Vec::new();
    if config.algorithm != TokenAlgorithm::HS256 {
        let key = Jwk::from_encoding_key(&encoding_key(config)?.0, algorithm(config));
        let mut key = key.map_err(|e| TokenError::Key {
            path: config.key_file.clone().unwrap_or_default(),
            algorithm: config.algorithm,
            reason: e.to_string(),
        })?;
        key.common.key_id.clone_from(&config.kid);
        key.common.public_key_use = Some(PublicKeyUse::Signature);
        keys.push(key);
    }
    Ok(JwkSet { keys })
}

fn algorithm(config: &TokenConfig) -> Algorithm {
    match config.algorithm {
        TokenAlgorithm::HS256 => Algorithm::HS256,
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

type FromPem = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;

/// The key, and how the secret was read if it is one.
fn encoding_key(config: &TokenConfig) -> Result<(EncodingKey, Option<SecretEncoding>), TokenError> {
    let algorithm = config.algorithm;
    let (kind, from_pem): (KeyKind, FromPem) = match algorithm {
        TokenAlgorithm::HS256 => return secret_key(config),
        TokenAlgorithm::RS256 => (KeyKind::Rsa, EncodingKey::from_rsa_pem),
        TokenAlgorithm::ES256 => (KeyKind::P256, EncodingKey::from_ec_pem),
        TokenAlgorithm::EdDSA => (KeyKind::Ed25519, EncodingKey::from_ed_pem),
    };
    let path = config
        .key_file
        .clone()
        .ok_or(TokenError::NoKeyFile(algorithm))?;
    let pem = std::fs::read(&path).map_err(|source| TokenError::KeyFile {
        path: path.clone(),
        source,
    })?;
    let read = keys::private_key(&pem, &path, kind)
        .and_then(|()| from_pem(&pem).map_err(|e| e.to_string()));
    let key = read.map_err(|reason| TokenError::Key {
        path,
        algorithm,
        reason,
    })?;
    Ok((key, None))
}

fn secret_key(config: &TokenConfig) -> Result<(EncodingKey, Option<SecretEncoding>), TokenError> {
    let secret = config
        .secret
        .as_ref()
        .filter(|secret| !secret.expose().is_empty());
    let text = secret.ok_or(TokenError::NoSecret)?.expose();
    let key = config.secret_encoding.signing_key(text);
    let key = key.map_err(TokenError::SecretEncoding)?;
    Ok((EncodingKey::from_secret(&key.bytes), Some(key.read_as)))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jsonwebtoken::{DecodingKey, Validation};
    use seedbed_protocol::StoreId;
    use serde_json::json;

    use super::*;

    fn config() -> TokenConfig {
        TokenConfig {
            algorithm: TokenAlgorithm::HS256,
            secret: Some(Secret::new(
                URL_SAFE_NO_PAD.encode("a secret of thirty-two bytes ...."),
            )),
            secret_encoding: SecretEncoding::Auto,
            key_file: None,
            kid: Some("seed".to_owned()),
            subject: "seedbed-{{ store_id }}".to_owned(),
            audience: Some("powersync".to_owned()),
            lifetime: Duration::from_secs(300),
        }
    }

    fn scope(claims: Value) -> Scope {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        let claims = claims.into_iter().collect();
        Scope {
            store_id: StoreId::new("7").unwrap(),
            claims,
        }
    }

    fn decode(token: &Secret, key: &DecodingKey, algorithm: Algorithm) -> (Header, Value) {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["powersync"]);
        let decoded = jsonwebtoken::decode::<Value>(token.expose(), key, &validation).unwrap();
        (decoded.header, decoded.claims)
    }

    #[test]
    fn claims_keep_their_json_types_beside_the_standard_ones() {
        let scope = scope(json!({ "store_id": 7, "vip": true, "tags": ["a"], "region": null }));
        let token = TokenSigner::new(&config()).unwrap().sign(&scope).unwrap();
        let key = DecodingKey::from_secret(b"a secret of thirty-two bytes ....");
        let (header, claims) = decode(&token, &key, Algorithm::HS256);
        assert_eq!(header.kid.as_deref(), Some("seed"));
        assert_eq!(claims["store_id"], json!(7));
        assert_eq!(claims["vip"], json!(true));
        assert_eq!(claims["tags"], json!(["a"]));
        assert_eq!(claims["region"], Value::Null);
        assert_eq!(claims["sub"], json!("seedbed-7"));
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            300
        );
    }

    #[test]
    fn every_key_algorithm_signs_what_its_public_half_verifies() {
        let directory = tempfile::tempdir().unwrap();
        let rsa = [
            "rsa",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ];
        let ec = [
            "ec",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ];
        let ed = ["ed", "-algorithm", "ED25519"];
        let cases: [(TokenAlgorithm, Algorithm, &[&str]); 3] = [
            (TokenAlgorithm::RS256, Algorithm::RS256, &rsa),
            (TokenAlgorithm::ES256, Algorithm::ES256, &ec),
            (TokenAlgorithm::EdDSA, Algorithm::EdDSA, &ed),
        ];
        for (configured, algorithm, arguments) in cases {
            let private = directory.path().join(arguments[0]);
            let public = private.with_extension("pub");
            openssl(
                &[
                    &["genpkey", "-out", private.to_str().unwrap()],
                    &arguments[1..],
                ]
                .concat(),
            );
            openssl(&[
                "pkey",
                "-in",
                private.to_str().unwrap(),
                "-pubout",
                "-out",
                public.to_str().unwrap(),
            ]);
            let pem = std::fs::read(&public).unwrap();
            let key = match algorithm {
                Algorithm::RS256 => DecodingKey::from_rsa_pem(&pem),
                Algorithm::ES256 => DecodingKey::from_ec_pem(&pem),
                _ => DecodingKey::from_ed_pem(&pem),
            };
            let config = TokenConfig {
                algorithm: configured,
                key_file: Some(private),
                ..config()
            };
            let token = TokenSigner::new(&config)
                .unwrap()
                .sign(&scope(json!({ "store_id": "7" })))
                .unwrap();
            let (header, claims) = decode(&token, &key.unwrap(), algorithm);
            assert_eq!(header.alg, algorithm);
            assert_eq!(claims["store_id"], json!("7"));
        }
    }

    fn openssl(arguments: &[&str]) {
        let output = std::process::Command::new("openssl")
            .args(arguments)
            .output()
            .expect("openssl is installed");
        assert!(
            output.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[test]
    fn wrong_settings_are_named_and_secrets_are_not_shown() {
        let error = |change: fn(&mut TokenConfig)| {
            let mut config = config();
            change(&mut config);
            TokenSigner::new(&config)
                .err()
                .expect("the configuration is refused")
                .to_string()
        };
        assert!(error(|c| c.secret = None).contains("token.secret is not set"));
        let not_base64 = error(|c| c.secret = Some(Secret::new("hunter2!")));
        assert!(
            not_base64.contains("token.secret is not base64url") && !not_base64.contains("hunter2")
        );
        assert!(
            error(|c| c.lifetime = Duration::from_secs(3601)).contains("token.lifetime is 1h 1s")
        );
        assert!(
            error(|c| c.algorithm = TokenAlgorithm::RS256).contains("token.key_file is not set")
        );
        assert!(!format!("{:?}", config()).contains("secret of thirty"));
    }

    #[test]
    fn a_scope_cannot_extend_its_own_token() {
        let signer = TokenSigner::new(&config()).unwrap();
        let error = signer
            .sign(&scope(json!({ "store_id": "7", "exp": 9 })))
            .unwrap_err();
        assert!(error.to_string().contains("\"exp\""));
    }
}

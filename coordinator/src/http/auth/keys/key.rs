//! A key that verifies tokens, and the algorithms that it is used with.

use std::path::{Path, PathBuf};

use jsonwebtoken::{Algorithm, DecodingKey};
use seedbed_protocol::settings::{
    Secret,
    keys::{self, KeyKind, MIN_SECRET_BYTES, SecretEncoding},
};

/// The algorithms of an RSA key.
pub(super) const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why clients' tokens cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The shared secret is not written as `download.secret_encoding` says.
    #[error("download.secret {0}")]
    Secret(&'static str),
    /// The shared secret can be guessed from one token (RFC 7518, 3.2).
    #[error("download.secret is too short to be safe; give at least {MIN_SECRET_BYTES} bytes")]
    ShortSecret,
    /// The key file cannot be read.
    #[error("download.key_file {} cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// It holds no public key.
    #[error(
        "download.key_file {} holds no public RSA, EC (P-256, P-384) or Ed25519 key in PEM: {reason}", path.display()
    )]
    NoKey {
        path: PathBuf,
        /// What it holds instead, and what to do.
        reason: String,
    },
    /// The signing secret is not usable.
    #[error("download.signing_secret is too short to be safe; give at least 32 characters")]
    SigningSecret,
    /// The JWK set cannot be asked for.
    #[error("download.jwks_url cannot be asked: {0}")]
    Jwks(reqwest::Error),
}

/// A key, and the algorithms that it is used with, whatever algorithm a token names: otherwise a public RSA key could pass
/// for a secret of HS256.
#[derive(Clone)]
pub(in crate::http) struct Key {
    /// The name that tokens must use for it, if any.
    pub(super) kid: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl Key {
    /// The keys that a shared secret can stand for.
    pub(in crate::http::auth) fn shared(
        secret: &Secret,
        encoding: SecretEncoding,
        kid: Option<&str>,
    ) -> Result<Vec<Self>, KeyError> {
        let read = encoding.keys(secret.expose()).map_err(KeyError::Secret)?;
        let is_long = |key: &keys::SecretKey| key.bytes.len() >= MIN_SECRET_BYTES;
        let keys: Vec<_> = read.into_iter().filter(is_long).collect();
        if keys.is_empty() {
            return Err(KeyError::ShortSecret);
        }
        let key = |key: &keys::SecretKey| Self {
            kid: kid.map(str::to_owned),
            key: DecodingKey::from_secret(&key.bytes),
            algorithms: vec![Algorithm::HS256],
        };
        Ok(keys.iter().map(key).collect())
    }

    /// The public key in a PEM file.
    pub(in crate::http::auth) fn in_file(
        path: &Path,
        kid: Option<String>,
    ) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let pem = std::fs::read(path).map_err(unreadable)?;
        let (key, algorithms) = public_key(&pem, path).map_err(|reason| KeyError::NoKey {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Self {
            kid,
            key,
            algorithms,
        })
    }

    /// Returns whether a token that names this key, or none, may be signed with it.
    pub(super) fn is_named(&self, kid: Option<&str>) -> bool {
        self.kid.is_none() || self.kid.as_deref() == kid
    }
}

/// A public key, and the algorithms that fit it; otherwise what the file holds instead.
fn public_key(pem: &[u8], path: &Path) -> Result<(DecodingKey, Vec<Algorithm>), String> {
    let (key, algorithms) = match keys::public_key(pem, path)? {
        KeyKind::Rsa => (DecodingKey::from_rsa_pem(pem), RSA.to_vec()),
        KeyKind::P384 => (DecodingKey::from_ec_pem(pem), vec![Algorithm::ES384]),
        KeyKind::Ed25519 => (DecodingKey::from_ed_pem(pem), vec![Algorithm::EdDSA]),
        _ => (DecodingKey::from_ec_pem(pem), vec![Algorithm::ES256]),
    };
    Ok((key.map_err(|e| e.to_string())?, algorithms))
}

//! A key that verifies tokens, and the algorithms that it is used with.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use seedbed_protocol::settings::Secret;

/// The algorithms of an RSA key.
pub(super) const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The shortest secret of HS256: as long as its signature.
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
        path: PathBuf,
        source: std::io::Error,
    },
    /// It holds no public key.
    #[error(
        "download.key_file {} holds no public RSA, EC (P-256, P-384) or Ed25519 key in PEM; a certificate or a \
         private key is none", path.display()
    )]
    NoKey { path: PathBuf },
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
pub(super) struct Key {
    /// The name that tokens must use for it, if any.
    pub(super) kid: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl Key {
    /// The key of a shared secret in base64url.
    pub(super) fn shared(secret: &Secret, kid: Option<String>) -> Result<Self, KeyError> {
        let secret = URL_SAFE_NO_PAD.decode(secret.expose().trim_end_matches('='));
        let secret = secret.map_err(|_| KeyError::Secret)?;
        if secret.len() < MIN_SECRET_BYTES {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self {
            kid,
            key: DecodingKey::from_secret(&secret),
            algorithms: vec![Algorithm::HS256],
        })
    }

    /// The public key in a PEM file.
    pub(super) fn in_file(path: &Path, kid: Option<String>) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let no_key = || KeyError::NoKey {
            path: path.to_owned(),
        };
        let pem = std::fs::read(path).map_err(unreadable)?;
        let (key, algorithms) = public_key(&pem).ok_or_else(no_key)?;
        Ok(Self {
            kid,
            key,
            algorithms,
        })
    }

    /// Returns whether a token with this header may be verified with it.
    pub(super) fn fits(&self, header: &Header) -> bool {
        let named = self.kid.is_none() || self.kid == header.kid;
        named && self.algorithms.contains(&header.alg)
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

//! Signed, expiring URLs of snapshots that this server serves itself: where they are made, and where they are checked. An
//! HMAC covers the key and the time, so a URL can be neither forged nor changed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use seedbed_protocol::settings::Secret;
use serde::Deserialize;
use sha2::Sha256;
use url::Url;

use crate::http::{auth::KeyError, problem::Problem};

/// Where the files are below this server.
pub(crate) const PATH: &str = "/snapshots/";

/// The shortest secret that signs.
const MIN_SECRET_CHARS: usize = 32;

/// Makes and checks signed URLs.
pub(crate) struct UrlSigner(Hmac<Sha256>);

/// What a signed URL has in addition to the key.
#[derive(Debug, Deserialize)]
pub(crate) struct Signature {
    /// Unix seconds.
    expires: i64,
    signature: String,
}

impl UrlSigner {
    /// Signs with `secret`.
    pub(crate) fn new(secret: &Secret) -> Result<Self, KeyError> {
        if secret.expose().chars().count() < MIN_SECRET_CHARS {
            return Err(KeyError::SigningSecret);
        }
        let mac = Hmac::new_from_slice(secret.expose().as_bytes());
        Ok(Self(mac.expect("HMAC takes keys of any length")))
    }

    /// The URL of the object `key` on the server at `base`, valid until `expires`.
    pub(crate) fn sign(&self, base: &Url, key: &str, expires: DateTime<Utc>) -> Url {
        let expires = expires.timestamp();
        let signature = self.mac(key, expires).finalize().into_bytes();
        let mut url = base.clone();
        // Segment by segment: a store id may have any character that a URL gives a meaning to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.push(PATH.trim_matches('/'));
            path.extend(key.split('/'));
        }
        url.query_pairs_mut()
            .append_pair("expires", &expires.to_string())
            .append_pair("signature", &URL_SAFE_NO_PAD.encode(signature));
        url
    }

    /// Returns whether `signature` is for `key`, and still valid at `now`.
    pub(crate) fn check(
        &self,
        key: &str,
        signature: &Signature,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let refused = |error, message: &str| {
            Err(Problem::new(
                axum::http::StatusCode::FORBIDDEN,
                error,
                message,
            ))
        };
        let given = URL_SAFE_NO_PAD.decode(&signature.signature);
        let mac = self.mac(key, signature.expires);
        // In constant time: how long the comparison takes must not say where they differ.
        if !given.is_ok_and(|given| mac.verify_slice(&given).is_ok()) {
            return refused(
                "bad_signature",
                "this URL was not made here, or was changed",
            );
        }
        if signature.expires <= now.timestamp() {
            return refused("expired", "this URL has expired; ask for a new one");
        }
        Ok(())
    }

    fn mac(&self, key: &str, expires: i64) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(format!("seedbed snapshot\n{expires}\n").as_bytes());
        mac.update(key.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn signature(url: &Url) -> Signature {
        let get = |name: &str| {
            url.query_pairs()
                .find(|(n, _)| n == name)
                .unwrap()
                .1
                .into_owned()
        };
        Signature {
            expires: get("expires").parse().unwrap(),
            signature: get("signature"),
        }
    }

    #[test]
    fn a_url_is_good_for_its_key_until_it_expires_and_only_where_the_secret_is_the_same() {
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let signer = UrlSigner::new(&secret).unwrap();
        let now = Utc::now();
        let base = Url::parse("https://seedbed.example.com/below/").unwrap();
        let key = "a b%2F?/x.sqlite";
        let url = signer.sign(&base, key, now + TimeDelta::minutes(1));
        assert_eq!(url.path(), "/below/snapshots/a%20b%252F%3F/x.sqlite");
        let good = signature(&url);
        signer.check(key, &good, now).unwrap();
        let same = UrlSigner::new(&secret).unwrap();
        same.check(key, &good, now).unwrap();
        assert!(
            signer
                .check(key, &good, now + TimeDelta::minutes(2))
                .is_err()
        );
        assert!(signer.check("b/x.sqlite", &good, now).is_err());
        let later = Signature {
            expires: good.expires + 3_600,
            signature: good.signature.clone(),
        };
        assert!(signer.check(key, &later, now).is_err());
        let other = UrlSigner::new(&Secret::new("another secret, 32 characters long")).unwrap();
        assert!(other.check(key, &good, now).is_err());
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(UrlSigner::new(&Secret::new("short")).is_err());
    }
}

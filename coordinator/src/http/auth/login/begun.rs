//! A login that has begun. All of it is in a cookie of 256 random bits, from which state, nonce and verifier follow: no server has to
//! remember it, and only the browser that began it can end it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use seedbed_protocol::settings::Secret;
use sha2::{Digest, Sha256};
use url::Url;

use super::return_path::return_path;

/// How long a login may take, in seconds.
pub(super) const MOST_SECONDS: u64 = 600;

/// A login that has begun.
pub(super) struct Begun {
    secret: String,
    /// When, in Unix seconds.
    at: u64,
    /// Where the browser goes when it is over.
    pub(super) to: String,
}

impl Begun {
    /// Begins a login that ends at `to`.
    pub(super) fn now(to: String, at: u64) -> Self {
        Self {
            secret: Secret::random().expose().to_owned(),
            at,
            to,
        }
    }

    /// Returns the value of the cookie.
    pub(super) fn cookie(&self) -> String {
        let to = URL_SAFE_NO_PAD.encode(&self.to);
        format!("{}.{}.{to}", self.secret, self.at)
    }

    /// Reads the cookie of a login that has begun at most [`MOST_SECONDS`] before `now`.
    pub(super) fn of_cookie(cookie: &str, own: &Url, now: u64) -> Option<Self> {
        let mut parts = cookie.split('.');
        let (secret, at, to) = (parts.next()?, parts.next()?, parts.next()?);
        let at = at.parse().ok()?;
        let to = String::from_utf8(URL_SAFE_NO_PAD.decode(to).ok()?).ok()?;
        let is_whole = parts.next().is_none() && secret.len() == Self::SECRET_CHARS;
        // Another server's clock may be ahead.
        let is_young = now.abs_diff(at) <= MOST_SECONDS;
        let is_ours = return_path(own, &to) == to;
        (is_whole && is_young && is_ours).then(|| Self {
            secret: secret.to_owned(),
            at,
            to,
        })
    }

    /// 256 bits in base64url.
    const SECRET_CHARS: usize = 43;

    /// What the provider has to say when it leads the browser back: only who began the login knows it.
    pub(super) fn state(&self) -> String {
        self.derived(&format!("state {} {}", self.at, self.to))
    }

    /// What the ID token has to have in it.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What the token endpoint is told (RFC 7636).
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// Its hash, which the provider is told first.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    fn derived(&self, what: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes());
        let mut mac = mac.expect("HMAC takes keys of any length");
        mac.update(what.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_back_from_its_cookie_and_nothing_else_is_one() {
        let own = Url::parse("https://seedbed.example.com/login/callback").unwrap();
        let begun = Begun::now("/#/runs".to_owned(), 1_000);
        let cookie = begun.cookie();
        let read = Begun::of_cookie(&cookie, &own, 1_000 + MOST_SECONDS).unwrap();
        assert_eq!(read.state(), begun.state());
        assert_eq!(read.to, "/#/runs");
        let texts = [
            begun.state(),
            begun.nonce(),
            begun.verifier(),
            begun.challenge(),
        ];
        for (place, text) in texts.iter().enumerate() {
            assert!(!texts[place + 1..].contains(text) && text.len() == 43);
        }
        assert!(Begun::of_cookie(&cookie, &own, 1_001 + MOST_SECONDS).is_none());
        // Whoever changes where it leads has another login.
        let other = cookie.replace(
            &URL_SAFE_NO_PAD.encode("/#/runs"),
            &URL_SAFE_NO_PAD.encode("/"),
        );
        let other = Begun::of_cookie(&other, &own, 1_000).unwrap();
        assert_ne!(other.state(), begun.state());
        for bad in ["", "..", "a.1.b", &cookie[1..], &format!("{cookie}.x")] {
            assert!(Begun::of_cookie(bad, &own, 1_000).is_none(), "{bad}");
        }
    }
}

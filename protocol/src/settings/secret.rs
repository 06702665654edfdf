//! Secrets, which are never printed, and URLs as they may be printed: without theirs.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};
use url::Url;

/// Returns whether the value of a setting may contain a password.
pub(super) fn is_url(name: &str) -> bool {
    name.ends_with("url") || name.ends_with("endpoint")
}

/// Returns what messages may show of a URL: its scheme, host and path. The rest may be a secret, and so may all of a
/// malformed one.
pub fn without_secrets(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() && !url.path().contains('@') => {
            let (scheme, path) = (url.scheme(), url.path());
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map(|port| format!(":{port}"));
            format!("{scheme}://{host}{}{path}", port.unwrap_or_default())
        }
        Ok(url) => format!("{}:…", url.scheme()),
        Err(_) => "not a URL".to_owned(),
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Makes one of 256 random bits, in base64url.
    ///
    /// # Panics
    /// When the machine has no random numbers.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).expect("the machine has random numbers");
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the text. Keep it out of logs, errors and messages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads a secret that may be missing; an empty one counts as missing.
///
/// # Errors
/// When it is not a text.
pub fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    let secret = Option::<Secret>::deserialize(deserializer)?;
    Ok(secret.filter(|secret| !secret.expose().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_shows_of_a_url_has_no_secret() {
        assert_eq!(
            without_secrets("amqp://me:hunter2@mq:5672/v?x=1"),
            "amqp://mq:5672/v"
        );
    }
}

//! Shared secrets of HS256: in base64url, as in the `k` of a JWK, or as plain text, as Supabase shows its JWT secret.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// The shortest secret of HS256 that cannot be guessed from one token: as long as its signature (RFC 7518, 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretEncoding {
    /// In base64url if it is some and long enough, otherwise as plain text.
    #[default]
    Auto,
    /// In base64url, with or without padding.
    Base64url,
    /// As plain text: its bytes are the key.
    Text,
}

/// The bytes of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The key itself. Keep it out of logs, errors and messages.
    pub bytes: Vec<u8>,
    /// How the secret was read: never [`SecretEncoding::Auto`].
    pub read_as: SecretEncoding,
}

impl SecretEncoding {
    /// Returns the key to sign with.
    ///
    /// # Errors
    /// What is wrong with the secret, to be put behind the name of its setting.
    pub fn signing_key(self, secret: &str) -> Result<SecretKey, &'static str> {
        let keys = self.keys(secret)?;
        let long = keys.iter().find(|key| key.bytes.len() >= MIN_SECRET_BYTES);
        Ok(long.unwrap_or(&keys[0]).clone())
    }

    /// Returns each key that the secret can stand for, at least one and the likelier first: who verifies can try both.
    ///
    /// # Errors
    /// What is wrong with the secret, to be put behind the name of its setting.
    pub fn keys(self, secret: &str) -> Result<Vec<SecretKey>, &'static str> {
        let decoded = URL_SAFE_NO_PAD.decode(secret.trim_end_matches('='));
        let decoded = decoded.ok().map(|bytes| SecretKey {
            bytes,
            read_as: Self::Base64url,
        });
        let text = SecretKey {
            bytes: secret.as_bytes().to_vec(),
            read_as: Self::Text,
        };
        match (self, decoded) {
            (Self::Text, _) => Ok(vec![text]),
            (Self::Base64url, Some(decoded)) => Ok(vec![decoded]),
            (Self::Base64url, None) => Err(
                "is not base64url (letters, digits, - and _); copy it as it is in the service's configuration (the `k` of \
                 its key), or set secret_encoding = \"text\" beside it if it is plain text",
            ),
            (Self::Auto, decoded) => {
                let text = (secret.len() >= MIN_SECRET_BYTES).then_some(text);
                let keys: Vec<_> = decoded.into_iter().chain(text).collect();
                if keys.is_empty() {
                    return Err(
                        "is not base64url (letters, digits, - and _), and as plain text it is shorter than 32 bytes; copy \
                         it as it is in the service's configuration (the `k` of its key), or set secret_encoding = \"text\" \
                         beside it if it really is that short",
                    );
                }
                Ok(keys)
            }
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey")
            .field("read_as", &self.read_as)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: SecretEncoding, secret: &str) -> Option<(SecretEncoding, usize)> {
        let key = encoding.signing_key(secret).ok()?;
        Some((key.read_as, key.bytes.len()))
    }

    #[test]
    fn a_secret_is_read_as_it_is_written() {
        use SecretEncoding::{Auto, Base64url, Text};
        let base64url = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMgYXQgbGVhc3Q";
        let supabase = "0Wq+xQn7k2m1Y0eJ9pXz/4uVbL8sTgR3hFdCaNoEiKjUwZMvPyGQ6B5lDfHrSt2cIeOAXW1mJ7uKnLqYpZxVbA==";
        let forty = "h7Kp2mQx9RtYv4WnZc8LbJd3FgSa6UeHoTiNq1Xy";
        assert_eq!(read(Auto, base64url), Some((Base64url, 35)));
        assert_eq!(read(Auto, &format!("{base64url}=")), Some((Base64url, 35)));
        assert_eq!(read(Auto, supabase), Some((Text, 88)), "standard base64");
        assert_eq!(read(Auto, forty), Some((Text, 40)), "30 bytes are no key");
        assert_eq!(read(Auto, "AAAA"), Some((Base64url, 3)), "as ever");
        assert_eq!(read(Auto, "hunter2!"), None);
        assert_eq!(read(Text, base64url), Some((Text, base64url.len())));
        assert_eq!(read(Text, "hunter2!"), Some((Text, 8)));
        assert_eq!(read(Base64url, forty), Some((Base64url, 30)));
        assert_eq!(read(Base64url, supabase), None);
        assert_eq!(Auto.keys(base64url).unwrap().len(), 2, "either is tried");
        assert!(!format!("{:?}", Auto.keys(supabase)).contains("0Wq"));
    }
}

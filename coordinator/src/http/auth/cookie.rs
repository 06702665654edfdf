//! The cookies of a login: their names and attributes, and the token that guards against other sites (CSRF).

use axum::http::{HeaderMap, HeaderValue, header};
use seedbed_protocol::digest::sha256_hex;

/// Holds the session of somebody who has signed in. `__Host-`: browsers take it over TLS from this very host only, so that no
/// neighbouring host can set it (RFC 6265bis, 4.1.3.2).
pub(in crate::http) const SESSION_COOKIE: &str = "__Host-seedbed-session";

/// Holds a login that has begun.
pub(in crate::http) const LOGIN_COOKIE: &str = "__Host-seedbed-login";

/// Shows, beside the cookie, that a page of this server asks. Pages of other sites cannot set it, and do not know it.
pub(super) const CSRF_HEADER: &str = "x-seedbed-csrf";

/// The value of a cookie. None of two such cookies counts.
pub(in crate::http) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| {
        let (of, value) = pair.trim().split_once('=')?;
        (of == name).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Returns `Set-Cookie` for a value of letters, digits, `-`, `_` and `.`, which browsers keep for so many seconds. SameSite=Lax: a
/// provider's page leads back here with it, and no other site's form or picture sends it.
pub(in crate::http) fn kept(name: &str, value: &str, seconds: u64) -> HeaderValue {
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut cookie = HeaderValue::from_str(&cookie).expect("it has visible characters only");
    cookie.set_sensitive(true);
    cookie
}

/// Returns `Set-Cookie` that removes one.
pub(in crate::http) fn ended(name: &str) -> HeaderValue {
    kept(name, "", 0)
}

/// Returns what [`CSRF_HEADER`] has to be in a session. It says nothing of the cookie, which pages cannot read.
pub(super) fn csrf_of(session: &str) -> String {
    sha256_hex(&format!("seedbed csrf {session}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_none_of_two_counts() {
        let found = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            cookie(&headers, "a").map(str::to_owned)
        };
        assert_eq!(found(&["b=2; a=1;c=3"]).as_deref(), Some("1"));
        assert_eq!(found(&["b=2", "a=1=2"]).as_deref(), Some("1=2"));
        for lines in [&["a=1; a=2"][..], &["a=1", "a=1"], &["xa=1; A=2"], &["a"]] {
            assert_eq!(found(lines), None, "{lines:?}");
        }
        let removed = ended("a");
        let removed = removed.to_str().unwrap();
        assert!(removed.starts_with("a=; ") && removed.contains("Max-Age=0"));
    }
}

//! The bearer token of a request, of administrators and clients alike.

use axum::http::{HeaderMap, header};

/// The token of `Authorization: Bearer …`. The scheme is not case-sensitive (RFC 9110, 11.1). None of two such headers
/// counts: a proxy may have looked at the other.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    token_of(headers, &["bearer"])
}

/// The app's token, with the scheme of an app's own request or with that of PowerSync's SDKs, `Authorization: Token …`.
pub(crate) fn client_token(headers: &HeaderMap) -> Option<&str> {
    token_of(headers, &["bearer", "token"])
}

fn token_of<'a>(headers: &'a HeaderMap, schemes: &[&str]) -> Option<&'a str> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let value = value.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let mut schemes = schemes.iter();
    let is_known = schemes.any(|known| scheme.eq_ignore_ascii_case(known));
    is_known
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

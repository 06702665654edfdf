//! The bearer token of a request, of administrators and clients alike.

use axum::http::{HeaderMap, header};

/// The token of `Authorization: Bearer …`. The scheme is not case-sensitive (RFC 9110, 11.1). None of two such headers
/// counts: a proxy may have looked at the other.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let value = value.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

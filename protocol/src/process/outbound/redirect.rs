//! Redirects within an origin.

use reqwest::redirect::Policy;
use url::{Origin, Url};

/// How many redirects of one request are followed.
pub const MOST_REDIRECTS: usize = 3;

/// A redirect that is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Redirected {
    /// It leads to another scheme, host or port.
    #[error(
        "a redirect from {from} to {to}, which is another origin, was not followed; if {to} is right, configure the \
         final URL"
    )]
    Elsewhere {
        /// The origin that answered.
        from: String,
        /// The origin that it names.
        to: String,
    },
    /// There are too many.
    #[error("{from} answered with more than {MOST_REDIRECTS} redirects; configure the final URL")]
    TooMany {
        /// The origin that answered.
        from: String,
    },
    /// It names no URL.
    #[error("{from} answered with a redirect that names no URL; configure the final URL")]
    Nowhere {
        /// The origin that answered.
        from: String,
    },
}

/// Follows redirects within an origin.
pub(super) fn policy() -> Policy {
    Policy::custom(|attempt| {
        let Some(from) = attempt.previous().last() else {
            return attempt.stop();
        };
        match allowed(from, attempt.url(), attempt.previous().len()) {
            Ok(()) => attempt.follow(),
            Err(refused) => attempt.error(refused),
        }
    })
}

/// Returns where `location`, the header of the redirect number `number` (from 1) that `from` answered with, leads to.
///
/// # Errors
/// [`Redirected`] when that is not to be followed.
pub fn next_within_origin(
    from: &Url,
    location: Option<&str>,
    number: usize,
) -> Result<Url, Redirected> {
    let to = location.and_then(|location| from.join(location).ok());
    let to = to.ok_or_else(|| Redirected::Nowhere { from: shown(from) })?;
    allowed(from, &to, number)?;
    Ok(to)
}

fn allowed(from: &Url, to: &Url, number: usize) -> Result<(), Redirected> {
    if from.origin() != to.origin() {
        return Err(Redirected::Elsewhere {
            from: shown(from),
            to: shown(to),
        });
    }
    if number > MOST_REDIRECTS {
        return Err(Redirected::TooMany { from: shown(from) });
    }
    Ok(())
}

/// Returns a URL's origin, which holds no secret; of a URL without an origin its scheme.
fn shown(url: &Url) -> String {
    match url.origin() {
        origin @ Origin::Tuple(..) => origin.ascii_serialization(),
        Origin::Opaque(_) => format!("{}:", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_scheme_host_and_port_are_followed_and_not_for_ever() {
        let from = Url::parse("https://a.example/sync/stream").unwrap();
        for location in ["/v2/sync/stream", "https://A.example:443/x", "stream?x=1"] {
            assert!(
                next_within_origin(&from, Some(location), 1).is_ok(),
                "{location}"
            );
        }
        for location in [
            "https://b.example/",
            "http://a.example/sync/stream",
            "https://a.example:8443/",
            "//b.example/",
            "https://a.example@b.example/",
            "file:///etc/passwd",
        ] {
            let refused = next_within_origin(&from, Some(location), 1).unwrap_err();
            let text = refused.to_string();
            assert!(
                text.contains("https://a.example") && text.contains("final URL"),
                "{text}"
            );
        }
        assert!(next_within_origin(&from, None, 1).is_err());
        assert!(next_within_origin(&from, Some("/"), MOST_REDIRECTS).is_ok());
        assert!(next_within_origin(&from, Some("/"), MOST_REDIRECTS + 1).is_err());
    }
}

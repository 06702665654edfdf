//! Tries the provider, as a login does.

use super::provider::Provider;
use crate::settings::LoginConfig;

/// Asks the provider for its discovery document and its keys, and says what was found.
///
/// # Errors
/// Why nobody could sign in, and what to do.
pub(crate) async fn check_login(config: &LoginConfig) -> Result<String, String> {
    let issuer = config.issuer().unwrap_or_default();
    let provider = Provider::new(issuer).map_err(|e| e.to_string())?;
    let provider = provider.ok_or_else(|| format!("{issuer} (login.issuer) is no URL"))?;
    let endpoints = provider.fetch().await;
    let endpoints = endpoints.map_err(|e| format!("{issuer} (login.issuer): {e}"))?;
    let published = endpoints.jwks.fetch().await;
    let published = published
        .map_err(|e| format!("{issuer} (login.issuer): its keys cannot be fetched: {e}"))?;
    if published.keys.is_empty() {
        return Err(format!(
            "{issuer} (login.issuer): it publishes no public key that signs{}",
            match published.left_out.join("; ") {
                none if none.is_empty() => none,
                some => format!(" (left out: {some})"),
            }
        ));
    }
    let redirect = config.redirect_url.as_ref().map_or("", |url| url.as_str());
    Ok(format!(
        "{issuer} answers, with {} keys; it has to know the redirect URL {redirect}",
        published.keys.len()
    ))
}

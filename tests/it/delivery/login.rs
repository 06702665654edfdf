//! Logins by OpenID Connect: with a provider that says whatever a test wants, and with a certified one (oidc-provider) in a browser.

mod hostile;
mod pages;
mod sessions;
mod support;

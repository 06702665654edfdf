//! Logins by OpenID Connect: a provider that says whatever a test wants, and a browser that keeps cookies.

pub mod browser;
pub mod provider;

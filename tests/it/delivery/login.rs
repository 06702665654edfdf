//! Logins by OpenID Connect, with a provider that says whatever a test wants.

mod hostile;
mod sessions;
mod support;

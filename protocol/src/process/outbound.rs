//! HTTP clients that stay where they were sent.
//!
//! - A redirect is followed only within its origin (scheme, host and port), and at most [`MOST_REDIRECTS`] times: what a
//!   request carries, and trust in what comes back, belong to the origin that a person has configured.
//! - Link-local addresses never answer, whether an address or a name leads there: a machine's metadata service gives
//!   away its credentials. The one exception is where the SDK of an object storage fetches credentials from.
//!
//! Holds nothing but connections, so a kill leaves nothing.

mod address;
mod objects;
mod redirect;
mod resolver;

use std::sync::Arc;

pub use address::{LinkLocal, refuse_link_local};
pub use objects::StayingConnector;
pub use redirect::{MOST_REDIRECTS, Redirected, next_within_origin};

/// Returns the builder of a client that follows redirects within an origin only, and reaches no link-local address by a
/// name. An address in a URL is not looked up: see [`refuse_link_local`].
pub fn client() -> reqwest::ClientBuilder {
    let resolver = resolver::Resolver { exception: None };
    reqwest::Client::builder()
        .redirect(redirect::policy())
        .dns_resolver(Arc::new(resolver))
}

/// Returns the builder of a client that follows no redirect: its caller gets the answer. Else as [`client`].
pub fn client_without_redirects() -> reqwest::ClientBuilder {
    client().redirect(reqwest::redirect::Policy::none())
}

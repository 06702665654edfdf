//! Looks names up, and leaves link-local addresses out.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{LinkLocal, is_link_local};

/// Looks names up as the system does.
#[derive(Debug)]
pub(super) struct Resolver {
    /// The one name that may lead to a link-local address.
    pub(super) exception: Option<&'static str>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_exception = self.exception == Some(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let usable = |found: &SocketAddr| is_exception || !is_link_local(found.ip());
            let addresses: Vec<_> = found.iter().copied().filter(usable).collect();
            match (addresses.is_empty(), found.first()) {
                (true, Some(found)) => Err(LinkLocal {
                    host: name.as_str().to_owned(),
                    address: found.ip(),
                }
                .into()),
                _ => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}

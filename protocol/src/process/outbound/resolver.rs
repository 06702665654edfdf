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

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(exception: Option<&'static str>, name: &str) -> Result<usize, String> {
        let resolver = Resolver { exception };
        let resolved = resolver.resolve(name.parse().unwrap()).await;
        resolved.map(Iterator::count).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_link_local_address_is_not_resolved() {
        // What a resolver is asked for may be an address: it needs no server then.
        let error = resolve(None, "169.254.169.254").await.unwrap_err();
        assert!(error.contains("link-local"), "{error}");
        let allowed = resolve(Some("169.254.169.254"), "169.254.169.254").await;
        assert_eq!(allowed, Ok(1));
        assert!(resolve(None, "localhost").await.unwrap() > 0);
    }
}

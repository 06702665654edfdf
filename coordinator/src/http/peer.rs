//! Says where a request comes from: the connection, or what the proxy in front says of it; and limits what one address may do.

mod failures;
mod network;
mod rate_limit;

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;

pub(crate) use self::{failures::Failures, rate_limit::RateLimit};

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether it speaks TLS with this server itself.
    pub(crate) by_tls: bool,
}

/// The client's address: that of the connection, or the one that the proxy adds to `X-Forwarded-For`. Of several addresses the
/// last: the proxy has added it, the others may be made up by the client.
pub(crate) fn client_address(request: &Request, behind_proxy: bool) -> Option<IpAddr> {
    let forwarded = || {
        let values = request.headers().get_all("x-forwarded-for");
        let last = values.iter().next_back()?.to_str().ok()?;
        address_of(last.rsplit(',').next()?.trim())
    };
    let peer = || request.extensions().get::<Peer>().map(|peer| peer.address);
    if behind_proxy {
        forwarded().or_else(peer)
    } else {
        peer()
    }
}

/// Whether the client speaks TLS: with this server, or with a proxy in front of it.
pub(crate) fn is_by_tls(request: &Request) -> bool {
    let peer = request.extensions().get::<Peer>();
    let forwarded = || request.headers().get("x-forwarded-proto");
    peer.is_some_and(|peer| peer.by_tls) || forwarded().is_some_and(|protocol| protocol == "https")
}

/// An address as proxies write it: with or without a port, of IPv6 with or without brackets.
fn address_of(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_a_proxys_word_about_the_client_counts() {
        let mut request = Request::builder()
            .header("x-forwarded-for", "9.9.9.9, 10.0.0.7")
            .body(Body::empty())
            .unwrap();
        let peer: IpAddr = [127, 0, 0, 1].into();
        request.extensions_mut().insert(Peer {
            address: peer,
            by_tls: false,
        });
        assert_eq!(client_address(&request, false), Some(peer));
        assert_eq!(client_address(&request, true), Some([10, 0, 0, 7].into()));
    }

    #[test]
    fn addresses_are_understood_as_proxies_write_them() {
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        for text in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711"] {
            assert_eq!(address_of(text), Some(v6), "{text}");
        }
        assert_eq!(address_of("10.0.0.7:4711"), Some([10, 0, 0, 7].into()));
        assert_eq!(address_of("unknown"), None);
    }
}

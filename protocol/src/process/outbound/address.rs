//! Which addresses are link-local, or a metadata service's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// A URL, or a name, leads to an address that is never asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} is a link-local address ({address}), where machines keep their metadata and credentials; use a server \
     with an address of its own"
)]
pub struct LinkLocal {
    /// The host as it was given.
    pub host: String,
    /// The address.
    pub address: IpAddr,
}

/// Refuses a URL whose host is a link-local address in any notation. A name is looked up when it is connected to.
///
/// # Errors
/// [`LinkLocal`]
pub fn refuse_link_local(url: &Url) -> Result<(), LinkLocal> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        // Other schemes than http and https keep an IPv4 address as a name.
        Some(Host::Domain(name)) => match name.parse() {
            Ok(address) => address,
            Err(_) => return Ok(()),
        },
        None => return Ok(()),
    };
    if is_link_local(address) {
        let host = url.host_str().unwrap_or_default().to_owned();
        return Err(LinkLocal { host, address });
    }
    Ok(())
}

/// Returns whether nothing may be asked at `address`: link-local ranges, and the addresses outside of them at which AWS,
/// Google Cloud and Alibaba Cloud serve metadata.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_link_local_v4(address),
        IpAddr::V6(address) => {
            is_link_local_v6(address) || embedded(address).is_some_and(is_link_local_v4)
        }
    }
}

fn is_link_local_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || address == Ipv4Addr::new(100, 100, 100, 200)
}

fn is_link_local_v6(address: Ipv6Addr) -> bool {
    let aws = address.segments().starts_with(&[0xfd00, 0xec2]);
    let google = address == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    address.is_unicast_link_local() || aws || google
}

/// Returns the IPv4 address that is embedded in a mapped, a compatible, a 6to4 or a NAT64 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let (high, low) = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            (high, low)
        }
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_found_in_every_notation_and_private_addresses_are_left_alone() {
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "100.100.100.200",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[64:ff9b::169.254.169.254]",
            "[2002:a9fe:a9fe::1]",
        ] {
            let url = Url::parse(&format!("http://{host}/latest/meta-data")).unwrap();
            assert!(refuse_link_local(&url).is_err(), "{host}");
        }
        for host in [
            "127.0.0.1",
            "10.0.0.5",
            "192.168.1.1",
            "[::1]",
            "[fd12:3456::1]",
            "[::ffff:10.0.0.5]",
            "169.255.0.1",
            "powersync.internal",
        ] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(refuse_link_local(&url), Ok(()), "{host}");
        }
    }
}

//! What counts as one client.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one client: an IPv4 address, or the /64 network of an IPv6 address, which one client usually has to itself.
pub(super) fn network(address: IpAddr) -> IpAddr {
    // An IPv4 client of a listener for both comes as ::ffff:a.b.c.d.
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

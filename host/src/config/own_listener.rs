//! A balancer that points at itself: each connection would become another, until no
//! file is left.

use std::net::{IpAddr, SocketAddr};

use super::address::Address;
use super::source::Source;

/// Where the balancer itself listens, and the fields that say so.
pub(super) struct OwnListeners(Vec<(SocketAddr, String)>);

impl OwnListeners {
    /// The listeners for traffic in their order, and the admin listener.
    pub(super) fn new(
        traffic: impl Iterator<Item = SocketAddr>,
        admin: Option<SocketAddr>,
    ) -> OwnListeners {
        let traffic = traffic.enumerate();
        let fields = traffic.map(|(index, bind)| (bind, format!("listeners[{index}].bind")));
        let admin = admin.map(|bind| (bind, "admin.bind".to_owned()));
        OwnListeners(fields.chain(admin).collect())
    }

    /// The problem of a field that leads to one of them; `None`: it does not.
    pub(super) fn problem(
        &self,
        (address, port): (&Address, u16),
        source: &Source,
    ) -> Option<String> {
        let mut own = self.0.iter();
        let (bind, other) = own.find(|(bind, _)| reaches(address, port, *bind))?;
        let other = source.field(other);
        Some(format!(
            "port {port} there is the balancer's own {other} ({bind}), so that it would connect \
             to itself; give another address or port, or bind to another"
        ))
    }
}

/// Whether an address leads to a listener, as far as that is known without asking
/// this machine for its addresses, or DNS.
fn reaches(address: &Address, port: u16, bind: SocketAddr) -> bool {
    let own = bind.ip().to_canonical();
    let is_reached = match address {
        Address::Ip(ip) => *ip == own || own.is_unspecified() && is_loopback_of(*ip, own),
        Address::Name(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.eq_ignore_ascii_case("localhost") && (own.is_loopback() || own.is_unspecified())
        }
    };
    port == bind.port() && is_reached
}

fn is_loopback_of(ip: IpAddr, any: IpAddr) -> bool {
    ip.is_loopback() && ip.is_ipv4() == any.is_ipv4()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::text::Text;

    #[test]
    fn only_the_same_address_and_port_are_the_balancer_itself() {
        let cases = [
            ("10.0.0.1", "10.0.0.1:443", true, "the very address"),
            ("10.0.0.1", "10.0.0.1:444", false, "another port"),
            ("10.0.0.1", "10.0.0.2:443", false, "another address"),
            ("127.0.0.1", "0.0.0.0:443", true, "loopback is part of all"),
            ("127.0.0.9", "0.0.0.0:443", true, "all of loopback"),
            ("127.0.0.2", "127.0.0.1:443", false, "another of loopback"),
            (
                "10.0.0.1",
                "0.0.0.0:443",
                false,
                "whose it is, the machine knows",
            ),
            ("::1", "[::]:443", true, "loopback of IPv6"),
            ("::1", "0.0.0.0:443", false, "another family"),
            ("127.0.0.1", "[::]:443", false, "[::] is IPv6 alone"),
            ("::ffff:10.0.0.1", "10.0.0.1:443", true, "IPv4 in IPv6"),
            ("localhost", "0.0.0.0:443", true, "a name of loopback"),
            ("LocalHost.", "[::1]:443", true, "as DNS writes it"),
            ("localhost", "10.0.0.1:443", false, "not there"),
            (
                "dtr1.example.com",
                "0.0.0.0:443",
                false,
                "known only to DNS",
            ),
        ];
        for (address, bind, expected, why) in cases {
            let read = Address::read(address).unwrap();
            let found = reaches(&read, 443, bind.parse().unwrap());
            assert_eq!(found, expected, "{address} and {bind}: {why}");
        }
        let any = Address::read("127.0.0.1").unwrap();
        assert!(!reaches(&any, 443, "127.0.0.1:0".parse().unwrap()));
    }
}

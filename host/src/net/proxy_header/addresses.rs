//! The two ends of a client's connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The two ends of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionAddresses {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

impl ConnectionAddresses {
    /// IPv4 addresses in IPv6's form as themselves.
    pub(super) fn canonical(self) -> ConnectionAddresses {
        let canonical = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
        ConnectionAddresses {
            source: canonical(self.source),
            destination: canonical(self.destination),
        }
    }

    /// Both of one family, since a header has but one: IPv6's where they differ.
    pub(super) fn of_one_family(self) -> ConnectionAddresses {
        let it = self.canonical();
        if it.source.is_ipv4() == it.destination.is_ipv4() {
            return it;
        }
        let in_ipv6 = |it: SocketAddr| {
            let ip: Ipv6Addr = match it.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            SocketAddr::new(ip.into(), it.port())
        };
        ConnectionAddresses {
            source: in_ipv6(it.source),
            destination: in_ipv6(it.destination),
        }
    }
}

//! Networks that clients connect from.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Networks, as a set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// All addresses of these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Networks {
        Networks(networks.into_iter().collect())
    }

    /// Whether an address is in one of them. An IPv4 address in IPv6's form counts as itself.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The networks, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::new(texts.iter().map(|text| text.parse().expect("a network")))
    }

    #[test]
    fn an_address_is_in_a_network_or_not() {
        let networks = networks(&["10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32"]);
        let cases = [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("::ffff:10.1.0.1", true),
            ("::ffff:10.2.0.1", false),
        ];
        for (address, expected) in cases {
            let parsed = address.parse().expect("an address");
            assert_eq!(networks.contain(parsed), expected, "{address}");
        }
        assert!(!Networks::default().contain(IpAddr::from([10, 1, 0, 1])));
    }
}

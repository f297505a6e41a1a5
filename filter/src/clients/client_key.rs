//! What counts as one client.

use crate::random;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One client: an IPv4 address, or the first half of an IPv6 address, since who has one
/// address of such a network has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum ClientKey {
    V4(u32),
    V6(u64),
}

impl ClientKey {
    pub(super) fn of(address: IpAddr) -> ClientKey {
        match address.to_canonical() {
            IpAddr::V4(address) => ClientKey::V4(address.to_bits()),
            IpAddr::V6(address) => ClientKey::V6((address.to_bits() >> 64) as u64),
        }
    }

    /// Which of the board's `places` it has.
    pub(super) fn place(self, places: u64) -> u64 {
        let bits = match self {
            ClientKey::V4(bits) => u64::from(bits),
            ClientKey::V6(bits) => bits,
        };
        random::mix(bits) % places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_is() {
        let same = [
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ];
        let other = [
            ("2001:db8:0:1::1", "2001:db8:0:2::1"),
            ("192.0.2.1", "192.0.2.2"),
        ];
        let key = |text: &str| ClientKey::of(text.parse().expect("an address"));
        for (one, two) in same {
            assert_eq!(key(one), key(two), "{one} and {two}");
        }
        for (one, two) in other {
            assert_ne!(key(one), key(two), "{one} and {two}");
        }
    }
}

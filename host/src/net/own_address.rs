//! Which addresses are this machine's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether a listener on `bind` is what a connection to `address` reaches.
pub(crate) fn reaches(address: SocketAddr, bind: SocketAddr) -> bool {
    let (ip, own) = (address.ip().to_canonical(), bind.ip().to_canonical());
    let any = own.is_unspecified() && own.is_ipv4() == ip.is_ipv4();
    address.port() == bind.port() && (ip == own || any && is_of_this_machine(ip))
}

/// Whether packets to an address stay on this machine: their source is the address
/// itself. Sends nothing.
fn is_of_this_machine(ip: IpAddr) -> bool {
    if ip.is_loopback() {
        return true;
    }
    let socket = match ip {
        IpAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        IpAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let source = socket.and_then(|socket| {
        // Any port will do.
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_at_each_of_this_machines() {
        let cases = [
            ("127.0.0.1:443", "0.0.0.0:443", true),
            ("127.0.0.1:444", "0.0.0.0:443", false),
            ("127.0.0.1:443", "127.0.0.2:443", false),
            ("[::ffff:127.0.0.1]:443", "127.0.0.1:443", true),
            ("[::1]:443", "0.0.0.0:443", false),
            // Kept for documentation: nobody has it.
            ("192.0.2.1:443", "0.0.0.0:443", false),
            ("192.0.2.1:443", "192.0.2.1:443", true),
        ];
        for (address, bind, expected) in cases {
            let found = reaches(address.parse().unwrap(), bind.parse().unwrap());
            assert_eq!(found, expected, "{address} and {bind}");
        }
        // What it is called when it talks to others, if it can.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.1:9").is_ok() {
            let own = socket.local_addr().unwrap();
            assert!(
                reaches(own, SocketAddr::from(([0; 4], own.port()))),
                "{own}"
            );
        }
    }
}

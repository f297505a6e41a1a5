//! A port for a proxy that must have the same one in both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port of all addresses of this machine that nobody listens on, and nobody but
/// the story's proxy will.
pub struct ReservedPort {
    port: u16,
    /// Bound and never listening: connections are refused until a proxy listens.
    _bound: [Socket; 2],
}

impl ReservedPort {
    /// A free one.
    ///
    /// # Panics
    /// When this machine has no IPv6, or no port left.
    pub fn new() -> Self {
        // A port that is free in one family may be taken in the other.
        for _ in 0..100 {
            let v6 = bound(Ipv6Addr::UNSPECIFIED.into(), 0).unwrap();
            let port = v6.local_addr().unwrap().as_socket().unwrap().port();
            if let Ok(v4) = bound(Ipv4Addr::UNSPECIFIED.into(), port) {
                return Self {
                    port,
                    _bound: [v6, v4],
                };
            }
        }
        panic!("no port is free in both families");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.port
    }
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

fn bound(ip: IpAddr, port: u16) -> std::io::Result<Socket> {
    let address = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // So that a listener can share the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

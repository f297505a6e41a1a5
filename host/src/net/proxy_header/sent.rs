//! The header as replicas are sent it.

use std::io;

use proxy_header::{ProxiedAddress, ProxyHeader};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::addresses::ConnectionAddresses;
use crate::plan::ProxyProtocol;

/// Sends the header on a connection that is new; without addresses it says that the peer
/// speaks for itself.
///
/// # Errors
/// The connection is lost already.
pub(crate) async fn send_header(
    mut socket: TcpStream,
    version: ProxyProtocol,
    addresses: Option<ConnectionAddresses>,
) -> io::Result<TcpStream> {
    // Or what comes next would wait until the header is acknowledged.
    socket.set_nodelay(true)?;
    socket.write_all(&header(version, addresses)).await?;
    Ok(socket)
}

fn header(version: ProxyProtocol, addresses: Option<ConnectionAddresses>) -> Vec<u8> {
    let header = match addresses.map(ConnectionAddresses::of_one_family) {
        Some(it) => ProxyHeader::with_address(ProxiedAddress::stream(it.source, it.destination)),
        None => ProxyHeader::with_local(),
    };
    let mut bytes = Vec::with_capacity(LONGEST);
    // Both fail where families differ, which they do not, and where there is no room.
    let _ = match version {
        ProxyProtocol::V1 => header.encode_v1(&mut bytes),
        ProxyProtocol::V2 => header.encode_v2(&mut bytes),
    };
    bytes
}

/// In bytes, as version 1 has it; version 2 is shorter.
const LONGEST: usize = 107;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn of(source: &str, destination: &str) -> Option<ConnectionAddresses> {
        Some(ConnectionAddresses {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    #[test]
    fn version_1_is_a_line_of_text() {
        let cases = [
            (None, "PROXY UNKNOWN\r\n"),
            (
                of("192.0.2.7:5000", "10.0.0.1:443"),
                "PROXY TCP4 192.0.2.7 10.0.0.1 5000 443\r\n",
            ),
            (
                of("[2001:db8::7]:5000", "[2001:db8::1]:443"),
                "PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n",
            ),
            (
                of("[::ffff:192.0.2.7]:5000", "10.0.0.1:443"),
                "PROXY TCP4 192.0.2.7 10.0.0.1 5000 443\r\n",
            ),
            (
                of("192.0.2.7:5000", "[2001:db8::1]:443"),
                "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 5000 443\r\n",
            ),
        ];
        for (addresses, expected) in cases {
            let sent = header(ProxyProtocol::V1, addresses);
            assert_eq!(String::from_utf8_lossy(&sent), expected);
            assert!(sent.len() <= LONGEST);
        }
    }

    #[test]
    fn version_2_is_binary() {
        let local = header(ProxyProtocol::V2, None);
        assert_eq!(local, [V2, b"\x20\0\0\0"].concat(), "command LOCAL");
        let ipv4 = header(ProxyProtocol::V2, of("192.0.2.7:5000", "10.0.0.1:443"));
        let ends = b"\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x13\x88\x01\xbb";
        assert_eq!(ipv4, [V2, ends].concat(), "command PROXY, TCP over IPv4");
        let mixed = header(ProxyProtocol::V2, of("192.0.2.7:5000", "[2001:db8::1]:443"));
        assert_eq!(mixed[12..16], *b"\x21\x21\0\x24", "TCP over IPv6");
        assert_eq!(
            mixed[16..32],
            *b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07"
        );
        assert_eq!(mixed.len(), 52);
    }
}

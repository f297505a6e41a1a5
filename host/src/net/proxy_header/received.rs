//! The header as other proxies send it.

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};

use super::addresses::ConnectionAddresses;
use super::signature::SignatureWatch;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedHeader {
    /// More must come.
    Incomplete,
    /// None that can be read.
    None,
    /// A header of this length, in bytes. Without addresses the peer speaks for itself:
    /// so do the health checks of other balancers.
    Whole(usize, Option<ConnectionAddresses>),
}

impl ReceivedHeader {
    /// Looks at all that has come so far.
    #[must_use]
    pub fn of(bytes: &[u8]) -> ReceivedHeader {
        match SignatureWatch::of(bytes) {
            SignatureWatch::Off => return ReceivedHeader::None,
            SignatureWatch::Start | SignatureWatch::Part(..) => {
                return ReceivedHeader::Incomplete;
            }
            SignatureWatch::Found => {}
        }
        let longest = match bytes.first() {
            Some(b'P') => LONGEST_TEXT,
            _ => LONGEST_BINARY,
        };
        // Else all that it announces is here, or never will be.
        let may_go_on =
            announced(bytes).is_none_or(|length| bytes.len() < length && length <= longest);
        match ProxyHeader::parse(bytes, ParseConfig::default()) {
            Err(Error::BufferTooShort) if may_go_on => ReceivedHeader::Incomplete,
            Ok((header, length)) if length <= longest => {
                ReceivedHeader::Whole(length, addresses(&header))
            }
            _ => ReceivedHeader::None,
        }
    }
}

/// How long the header will be, as version 2 says beforehand.
fn announced(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(14..16).filter(|_| bytes.first() != Some(&b'P'))?;
    Some(16 + usize::from(u16::from_be_bytes(length.try_into().ok()?)))
}

/// What it says of anything but TCP is no client of ours.
fn addresses(header: &ProxyHeader<'_>) -> Option<ConnectionAddresses> {
    let proxied = header.proxied_address()?;
    let addresses = ConnectionAddresses {
        source: proxied.source,
        destination: proxied.destination,
    };
    (proxied.protocol == Protocol::Stream).then(|| addresses.canonical())
}

/// In bytes, the end of the line included: as the specification has it.
const LONGEST_TEXT: usize = 107;
/// In bytes. What proxies add to the addresses, a client's certificate at most by name, is far
/// shorter, and not looked at.
const LONGEST_BINARY: usize = 4096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    const IPV4: &[u8] = b"\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x13\x88\x01\xbb";

    fn of(source: &str, destination: &str) -> Option<ConnectionAddresses> {
        Some(ConnectionAddresses {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    /// Of version 2, with this many bytes after the addresses.
    fn with_extensions(bytes: u16) -> Vec<u8> {
        let mut header = [V2, IPV4].concat();
        header[14..16].copy_from_slice(&(12 + bytes).to_be_bytes());
        header.resize(header.len() + usize::from(bytes), 4);
        header
    }

    #[test]
    fn a_header_is_read_whole_and_nothing_after_it() {
        let client = of("192.0.2.7:5000", "10.0.0.1:443");
        let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 5000 443\r\n";
        let ipv6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n";
        let cases = [
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 443\r\n".to_vec(),
                client,
            ),
            (ipv6.to_vec(), of("[2001:db8::7]:5000", "[2001:db8::1]:443")),
            (mapped.to_vec(), client),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (
                b"PROXY UNKNOWN ffff:f::1 ffff::2 65535 1\r\n".to_vec(),
                None,
            ),
            ([V2, IPV4].concat(), client),
            (with_extensions(200), client),
            ([V2, b"\x20\0\0\0"].concat(), None),
            ([V2, b"\x20", &IPV4[1..]].concat(), None),
            ([V2, b"\x21\x12", &IPV4[2..]].concat(), None),
        ];
        for (header, expected) in cases {
            for length in 0..header.len() {
                let part = ReceivedHeader::of(&header[..length]);
                assert_eq!(part, ReceivedHeader::Incomplete, "{length} of {header:?}");
            }
            let stream = [&header[..], b"\x16\x03\x01"].concat();
            let whole = ReceivedHeader::Whole(header.len(), expected);
            assert_eq!(ReceivedHeader::of(&stream), whole, "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_clear() {
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 96]].concat();
        let unknown = [&b"PROXY UNKNOWN "[..], &[b'1'; 100], b"\r\n"].concat();
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("another protocol", b"GET / HTTP/1.1\r\n".to_vec()),
            ("the first byte of TLS", vec![0x16]),
            (
                "an address that is none",
                b"PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n".to_vec(),
            ),
            (
                "a port that is none",
                b"PROXY TCP4 192.0.2.7 10.0.0.1 70000 2\r\n".to_vec(),
            ),
            ("of another family", b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec()),
            ("a line without end", endless),
            ("a line that is too long", unknown),
            ("a version that is not", [V2, b"\x31\x11\0\x0c"].concat()),
            (
                "addresses cut short",
                [V2, b"\x21\x11\0\x04\x01\x02\x03\x04"].concat(),
            ),
            ("more than is sane", with_extensions(5000)[..16].to_vec()),
        ];
        for (why, bytes) in cases {
            assert_eq!(ReceivedHeader::of(&bytes), ReceivedHeader::None, "{why}");
        }
    }
}

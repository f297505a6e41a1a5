//! Addresses as properties have them.

use std::io::Write as _;
use std::net::SocketAddr;

/// Address and port. Asked for on every connection, so IPv4 goes without `fmt`.
pub(super) fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    let SocketAddr::V4(address) = address else {
        // Writing to memory does not fail.
        let _ = write!(out, "{address}");
        return;
    };
    for (octet, end) in address.ip().octets().into_iter().zip(*b"...:") {
        put_number(octet.into(), out);
        out.push(end);
    }
    put_number(address.port(), out);
}

fn put_number(number: u16, out: &mut Vec<u8>) {
    for power in [10_000, 1_000, 100, 10] {
        if number >= power {
            out.push(b'0' + (number / power % 10) as u8);
        }
    }
    out.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

    use super::*;

    #[test]
    fn addresses_are_written_as_everywhere() {
        let addresses = [
            "0.0.0.0:0",
            "10.0.100.9:9",
            "255.255.255.255:65535",
            "127.0.0.1:10",
            "1.20.199.200:10001",
            "[::1]:443",
            "[2001:db8::10]:65535",
        ];
        for text in addresses {
            let mut written = Vec::new();
            put_address(text.parse().unwrap(), &mut written);
            assert_eq!(String::from_utf8_lossy(&written), text);
        }
    }
}

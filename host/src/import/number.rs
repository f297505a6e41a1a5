//! Whole numbers of the old file: of digits only, where `parse` alone takes a sign too.

/// A whole number; `None`: it is none, or too large.
pub(super) fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// A port, 1 to 65535; `None`: it is none.
pub(super) fn port(text: &str) -> Option<u16> {
    let port = digits(text).and_then(|port| u16::try_from(port).ok());
    port.filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits() {
        let cases = [
            ("443", Some(443), Some(443)),
            ("0443", Some(443), Some(443)),
            ("0", Some(0), None),
            ("65536", Some(65536), None),
            ("+443", None, None),
            ("-1", None, None),
            (" 443", None, None),
            ("https", None, None),
            ("", None, None),
            ("99999999999999999999", None, None),
        ];
        for (text, number, as_port) in cases {
            assert_eq!((digits(text), port(text)), (number, as_port), "{text}");
        }
    }
}

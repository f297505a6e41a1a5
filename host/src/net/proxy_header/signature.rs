//! What a header begins with.

/// Looks at the first bytes of a stream as they pass, whether they are those of a header. Every
/// connection has one: it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureWatch {
    /// Nothing is looked for, or it is not there.
    Off,
    /// No byte has come yet.
    Start,
    /// How many bytes of a version's signature have come; nothing else has.
    Part(Version, u8),
    /// There is one.
    Found,
}

/// The versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Text,
    Binary,
}

impl SignatureWatch {
    /// What the first bytes of a stream are.
    pub(super) fn of(bytes: &[u8]) -> SignatureWatch {
        let mut watch = SignatureWatch::Start;
        watch.look(bytes);
        watch
    }

    /// Looks at what comes next.
    pub(crate) fn look(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let (version, seen) = match (*self, byte) {
                (SignatureWatch::Off | SignatureWatch::Found, _) => return,
                // They differ in their first byte.
                (SignatureWatch::Start, b'P') => (Version::Text, 0),
                (SignatureWatch::Start, _) => (Version::Binary, 0),
                (SignatureWatch::Part(version, seen), _) => (version, seen),
            };
            *self = match version.signature().get(usize::from(seen)..) {
                Some([awaited]) if awaited == byte => SignatureWatch::Found,
                Some([awaited, ..]) if awaited == byte => SignatureWatch::Part(version, seen + 1),
                _ => SignatureWatch::Off,
            };
        }
    }
}

impl Version {
    fn signature(self) -> &'static [u8] {
        match self {
            Version::Text => b"PROXY ",
            Version::Binary => b"\r\n\r\n\0\r\nQUIT\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_found_however_it_is_split() {
        for version in [Version::Text, Version::Binary] {
            let signature = version.signature();
            let stream = [signature, b"TCP4"].concat();
            for first in 0..=stream.len() {
                let mut watch = SignatureWatch::of(&stream[..first]);
                watch.look(&stream[first..]);
                assert_eq!(watch, SignatureWatch::Found, "split after {first}");
            }
            let mut watch = SignatureWatch::Start;
            for byte in signature {
                assert_ne!(watch, SignatureWatch::Found, "before the last byte");
                watch.look(&[*byte]);
            }
            assert_eq!(watch, SignatureWatch::Found, "byte by byte");
        }
    }

    #[test]
    fn anything_else_is_let_pass_for_good() {
        let others: [&[u8]; 6] = [
            b"POST / HTTP/1.1\r\n",
            b"PROXIMITY",
            b"PROXY\t",
            b"\x16\x03\x01",
            b"\r\n\r\nPROXY ",
            b"GET /PROXY TCP4",
        ];
        for stream in others {
            let mut watch = SignatureWatch::of(stream);
            assert_eq!(watch, SignatureWatch::Off, "{stream:?}");
            watch.look(Version::Text.signature());
            assert_eq!(watch, SignatureWatch::Off, "only the first bytes count");
        }
    }
}

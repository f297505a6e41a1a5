//! The first message of a TLS client, made by hand: RFC 8446, section 4.1.2.

/// The first message of a TLS client.
#[derive(Clone, Default)]
pub struct ClientHello {
    extensions: Vec<u8>,
    /// Bytes of each record; 0: all in one.
    record: usize,
}

impl ClientHello {
    /// That asks for nothing.
    pub fn new() -> Self {
        // What browsers send lest servers grow intolerant (RFC 8701).
        Self::default().extension(0x1a1a, &[])
    }

    /// That asks for this name.
    pub fn for_name(name: &str) -> Self {
        Self::new().and_name(name)
    }

    /// Asks for this name as well (RFC 6066).
    pub fn and_name(self, name: &str) -> Self {
        let entry = [&[0], &length(name.len(), 2)[..], name.as_bytes()].concat();
        self.extension(0, &[length(entry.len(), 2), entry].concat())
    }

    /// Speaks this protocol (ALPN, RFC 7301).
    pub fn alpn(self, protocol: &str) -> Self {
        let entry = [&length(protocol.len(), 1), protocol.as_bytes()].concat();
        self.extension(16, &[length(entry.len(), 2), entry].concat())
    }

    /// Has this many bytes of padding (RFC 7685).
    pub fn padding(self, bytes: usize) -> Self {
        self.extension(21, &vec![0; bytes])
    }

    /// Is the outer one of an encrypted ClientHello (RFC 9849).
    pub fn encrypted(self) -> Self {
        self.extension(0xfe0d, &[7; 180])
    }

    /// In records of this many bytes each.
    pub fn in_records_of(self, bytes: usize) -> Self {
        Self {
            record: bytes,
            ..self
        }
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let body = [
            &[3, 3][..],
            &[9; 32],
            // A session, two cipher suites, no compression.
            &[0, 0, 4, 0x2a, 0x2a, 0x13, 1, 1, 0],
            &length(self.extensions.len(), 2),
            &self.extensions,
        ];
        let body = body.concat();
        let message = [&[1], &length(body.len(), 3)[..], &body].concat();
        let size = match self.record {
            0 => message.len(),
            size => size,
        };
        let record = |part: &[u8]| [&[22, 3, 1], &length(part.len(), 2)[..], part].concat();
        message.chunks(size).flat_map(record).collect()
    }

    fn extension(mut self, kind: u16, content: &[u8]) -> Self {
        self.extensions.extend_from_slice(&kind.to_be_bytes());
        self.extensions.extend(length(content.len(), 2));
        self.extensions.extend_from_slice(content);
        self
    }
}

fn length(bytes: usize, width: usize) -> Vec<u8> {
    bytes.to_be_bytes()[size_of::<usize>() - width..].to_vec()
}

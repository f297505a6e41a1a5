//! ClientHellos made by hand, for tests.

/// An extension: its type, and what it holds.
pub(crate) fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &length(content, 2)[..], content].concat()
}

/// A ClientHello with these extensions, as a message.
pub(crate) fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = extensions.concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        // No session, two cipher suites, no compression.
        &[0, 0, 4, 0x1a, 0x1a, 0x13, 0x01, 1, 0],
        &length(&extensions, 2),
        &extensions,
    ];
    let body = body.concat();
    [&[1], &length(&body, 3)[..], &body].concat()
}

/// A record of this type.
pub(crate) fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1], &length(payload, 2)[..], payload].concat()
}

/// A message in records of this many bytes each.
pub(crate) fn in_records_of(size: usize, message: &[u8]) -> Vec<u8> {
    let records = message.chunks(size).map(|part| record(22, part));
    records.collect::<Vec<_>>().concat()
}

/// A length, big-endian in `width` bytes.
pub(crate) fn length(of: &[u8], width: usize) -> Vec<u8> {
    of.len().to_be_bytes()[size_of::<usize>() - width..].to_vec()
}

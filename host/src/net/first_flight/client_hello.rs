//! A TLS ClientHello: RFC 8446, sections 4.1.2 and 5.1.

use super::resend::{MOST_KEPT, Resend};

/// Judges what begins as a ClientHello may, complete or not. It may be spread over
/// several records.
pub(super) fn judge(sent: &[u8]) -> Resend {
    let message = handshake(sent);
    message.map_or(Resend::Never, |message| judge_hello(&message))
}

/// The handshake bytes of all records; `None`: there are other records.
fn handshake(sent: &[u8]) -> Option<Handshake> {
    let mut message = Handshake::default();
    let mut rest = sent;
    while !rest.is_empty() {
        let well_formed = match rest {
            [kind] => *kind == FIRST_BYTE,
            [kind, major, ..] => *kind == FIRST_BYTE && *major == MAJOR_VERSION,
            [] => false,
        };
        if !well_formed {
            return None;
        }
        let Some((header, payload)) = rest.split_at_checked(RECORD_HEADER) else {
            // A record holds one byte at least.
            message.announced += 1;
            return Some(message);
        };
        let [.., high, low] = header else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 || length > LONGEST_RECORD {
            return None;
        }
        let arrived = length.min(payload.len());
        message.bytes.extend_from_slice(&payload[..arrived]);
        message.announced += length;
        rest = &payload[arrived..];
    }
    Some(message)
}

/// What the records of a handshake hold.
#[derive(Default)]
struct Handshake {
    bytes: Vec<u8>,
    /// Bytes, those included that the last record still owes.
    announced: usize,
}

/// Whether it is a ClientHello without early data, as far as it goes, and nothing
/// follows it.
fn judge_hello(message: &Handshake) -> Resend {
    let Some((kind, rest)) = message.bytes.split_first() else {
        return Resend::Part;
    };
    if *kind != CLIENT_HELLO {
        return Resend::Never;
    }
    let Some((length, body)) = rest.split_at_checked(3) else {
        return Resend::Part;
    };
    let length = number(length);
    if length > LONGEST_HELLO || message.announced > HANDSHAKE_HEADER + length {
        return Resend::Never;
    }
    let is_whole = body.len() == length;
    let mut body = Body(body);
    match walk(&mut body) {
        Walk::Done if is_whole && body.0.is_empty() => Resend::Whole,
        Walk::Done | Walk::Short if !is_whole => Resend::Part,
        _ => Resend::Never,
    }
}

/// How far a ClientHello can be read.
enum Walk {
    /// To its end; there is no early data.
    Done,
    /// Until its bytes end; so far there is no early data.
    Short,
    /// To the announcement of early data.
    EarlyData,
}

fn walk(body: &mut Body<'_>) -> Walk {
    let fixed = body.skip(VERSION_AND_RANDOM);
    // Session id, cipher suites, compression methods.
    let lists = fixed.and_then(|()| {
        [1, 2, 1]
            .into_iter()
            .try_for_each(|width| body.list(width).map(|_| ()))
    });
    if lists.is_none() {
        return Walk::Short;
    }
    // Before TLS 1.3 a ClientHello may end here.
    if body.0.is_empty() {
        return Walk::Done;
    }
    let Some(length) = body.number(2) else {
        return Walk::Short;
    };
    let (mut extensions, is_whole) = match body.0.split_at_checked(length) {
        Some((extensions, rest)) => {
            body.0 = rest;
            (Body(extensions), true)
        }
        None => (Body(std::mem::take(&mut body.0)), false),
    };
    while let Some(kind) = extensions.number(2) {
        if kind == EARLY_DATA {
            return Walk::EarlyData;
        }
        if extensions.list(2).is_none() {
            return Walk::Short;
        }
    }
    match is_whole && extensions.0.is_empty() {
        true => Walk::Done,
        false => Walk::Short,
    }
}

/// What is still to be read.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn number(&mut self, width: usize) -> Option<usize> {
        let (bytes, rest) = self.0.split_at_checked(width)?;
        self.0 = rest;
        Some(number(bytes))
    }

    /// Bytes after their length, which has this width.
    fn list(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.number(width)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Of up to three bytes, the highest first.
fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The type of a record: handshake.
pub(super) const FIRST_BYTE: u8 = 22;
/// Of the record's version: 3, from SSL 3.0 to TLS 1.3.
const MAJOR_VERSION: u8 = 3;
const RECORD_HEADER: usize = 5;
/// Bytes of plain text.
const LONGEST_RECORD: usize = 1 << 14;
const CLIENT_HELLO: u8 = 1;
const HANDSHAKE_HEADER: usize = 4;
/// One that is longer is never whole within what is kept.
const LONGEST_HELLO: usize = MOST_KEPT - RECORD_HEADER - HANDSHAKE_HEADER;
const VERSION_AND_RANDOM: usize = 2 + 32;
/// The extension that announces early data.
const EARLY_DATA: usize = 42;

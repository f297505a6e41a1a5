//! Whether a TLS ClientHello may be sent again.

use super::resend::{MOST_KEPT, Resend};
use crate::net::client_hello::{
    Body, CLIENT_HELLO, MESSAGE_HEADER, RECORD_HEADER, Record, VERSION_AND_RANDOM,
};

/// Judges what begins as a ClientHello may, complete or not.
pub(super) fn judge(sent: &[u8]) -> Resend {
    let message = handshake(sent);
    message.map_or(Resend::Never, |message| judge_hello(&message))
}

/// What the records of a handshake hold.
#[derive(Default)]
struct Handshake {
    bytes: Vec<u8>,
    /// Bytes, those included that the last record still owes.
    announced: usize,
}

/// The handshake bytes of all records; `None`: there are other records.
fn handshake(sent: &[u8]) -> Option<Handshake> {
    let mut message = Handshake::default();
    let mut rest = sent;
    while !rest.is_empty() {
        let record = Record::first(rest)?;
        message.bytes.extend_from_slice(record.held);
        message.announced += record.length;
        rest = record.rest;
    }
    Some(message)
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
    let mut body = Body(rest);
    let Some(length) = body.number(3) else {
        return Resend::Part;
    };
    if length > LONGEST_HELLO || message.announced > MESSAGE_HEADER + length {
        return Resend::Never;
    }
    let is_whole = body.0.len() == length;
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

/// One that is longer is never whole within what is kept.
const LONGEST_HELLO: usize = MOST_KEPT - RECORD_HEADER - MESSAGE_HEADER;
/// The extension that announces early data.
const EARLY_DATA: usize = 42;

//! What a client sends before its replica has said anything, and whether it may be
//! sent again to another replica.
//!
//! Sending again is safe when no replica can have acted upon what was sent, or
//! acting twice changes nothing:
//!
//! - nothing at all;
//! - a TLS ClientHello, whole or in part, with nothing after it and without early
//!   data (RFC 8446, 4.2.10), which a server may act upon at once;
//! - an HTTP/1 request of a safe method (RFC 9110, 9.2.1) without a body, and with
//!   nothing after it. In part it is one once its first line is whole: before that it
//!   may be another protocol's message, and until the head is whole no server acts.
//!
//! A client that has finished asks for an answer only by a whole request: one that
//! leaves before or during a handshake wants nothing more. And a replica that ends
//! a connection on which nobody has asked anything yet may have lost patience, which
//! is no fault of its own: so what is sent in part is distinguished from what is whole.

mod client_hello;
mod request;
mod resend;

use bytes::BytesMut;

use crate::net::client_hello::FIRST_BYTE;
use proxy_wasm_engine::End;
use resend::MOST_KEPT;
pub(crate) use resend::Resend;

/// What a client has sent so far, as long as the replica has said nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstFlight {
    /// All of it.
    Kept(Vec<u8>),
    /// The replica has said something, or what was sent can't be sent again.
    Over,
}

impl FirstFlight {
    pub(crate) fn new() -> FirstFlight {
        FirstFlight::Kept(Vec::new())
    }

    pub(crate) fn is_over(&self) -> bool {
        *self == FirstFlight::Over
    }

    /// All of it, again.
    pub(crate) fn copy(&self) -> BytesMut {
        match self {
            FirstFlight::Kept(sent) => sent.as_slice().into(),
            FirstFlight::Over => BytesMut::new(),
        }
    }

    /// Keeps a copy of what is sent to the replica, if it may ever be sent again.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        let FirstFlight::Kept(kept) = self else {
            return;
        };
        let first = kept.first().or(bytes.first());
        let fits = kept.len() + bytes.len() <= MOST_KEPT;
        if fits && first.is_none_or(|first| may_begin_with(*first)) {
            kept.reserve_exact(bytes.len());
            kept.extend_from_slice(bytes);
        } else {
            *self = FirstFlight::Over;
        }
    }

    /// Judged only when it matters: few connections ever need it.
    pub(crate) fn resend(&self, end: End) -> Resend {
        match self {
            FirstFlight::Kept(sent) => judge(sent, end),
            FirstFlight::Over => Resend::Never,
        }
    }
}

/// Judges what a client has sent; `end` says whether it has finished.
fn judge(sent: &[u8], end: End) -> Resend {
    match (sent.first(), end) {
        (None, End::More) => Resend::Part,
        (Some(&FIRST_BYTE), End::More) => client_hello::judge(sent),
        (Some(first), _) if request::FIRST_BYTES.contains(first) => request::judge(sent, end),
        _ => Resend::Never,
    }
}

/// Whether something that may be sent again begins with this byte.
fn may_begin_with(first: u8) -> bool {
    first == FIRST_BYTE || request::FIRST_BYTES.contains(&first)
}

#[cfg(test)]
mod tests;

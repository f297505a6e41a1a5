//! A TLS ClientHello, as far as it has come: RFC 8446, sections 4.1.2 and 5.1. It may be
//! spread over several records.

mod body;
#[cfg(test)]
pub(crate) mod fixture;
mod record;
mod server_name;

pub(crate) use body::Body;
pub(crate) use record::{HEADER as RECORD_HEADER, Record};
pub(crate) use server_name::{ServerName, server_name};

/// The type of a record: handshake.
pub(crate) const FIRST_BYTE: u8 = 22;
/// The type of a handshake's message.
pub(crate) const CLIENT_HELLO: u8 = 1;
/// A message's type and length.
pub(crate) const MESSAGE_HEADER: usize = 4;
/// What a ClientHello begins with, in bytes.
pub(crate) const VERSION_AND_RANDOM: usize = 2 + 32;

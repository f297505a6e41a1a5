//! Records, which messages are spread over.

use super::FIRST_BYTE;

/// One record of a handshake, as far as it has come.
pub(crate) struct Record<'a> {
    /// What has come of what it holds.
    pub(crate) held: &'a [u8],
    /// How many bytes it holds: at least that, while it does not say.
    pub(crate) length: usize,
    /// What follows it.
    pub(crate) rest: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record that begins here; `None`: it is of something else, or is none.
    pub(crate) fn first(sent: &'a [u8]) -> Option<Record<'a>> {
        let well_formed = match sent {
            [] => true,
            [kind] => *kind == FIRST_BYTE,
            [kind, major, ..] => *kind == FIRST_BYTE && *major == MAJOR_VERSION,
        };
        if !well_formed {
            return None;
        }
        let Some(([.., high, low], payload)) = sent.split_first_chunk::<HEADER>() else {
            // A record holds one byte at least.
            return Some(Record {
                held: &[],
                length: 1,
                rest: &[],
            });
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 || length > LONGEST {
            return None;
        }
        let (held, rest) = payload.split_at(length.min(payload.len()));
        Some(Record { held, length, rest })
    }

    /// Whether all that it holds has come.
    pub(crate) fn is_whole(&self) -> bool {
        self.held.len() == self.length
    }
}

/// In bytes.
pub(crate) const HEADER: usize = 5;
/// Of the record's version: 3, from SSL 3.0 to TLS 1.3.
const MAJOR_VERSION: u8 = 3;
/// Bytes of plain text.
const LONGEST: usize = 1 << 14;

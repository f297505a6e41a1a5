//! Messages of gRPC as they are sent: a flag, the length, the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A message as it is sent: not compressed, its length, itself.
pub(super) fn encode(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    // What a filter sends fits into its VM's memory, less than 4 GiB.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

/// The next whole message, if it is there.
pub(super) fn decode(buffer: &mut BytesMut) -> Result<Option<Vec<u8>>, &'static str> {
    let Some((prefix, rest)) = buffer.split_at_checked(PREFIX) else {
        return Ok(None);
    };
    let (flag, mut length) = prefix.split_at(1);
    if flag != [0] {
        return Err("a message is compressed, which was not offered");
    }
    let length = length.get_u32() as usize;
    if length > MAX_MESSAGE {
        return Err("a message is longer than 4 MiB");
    }
    if rest.len() < length {
        return Ok(None);
    }
    buffer.advance(PREFIX);
    Ok(Some(buffer.split_to(length).to_vec()))
}

/// Bytes before a message: a flag and its length.
const PREFIX: usize = 5;
/// Longest message that is handed to a filter, bytes.
const MAX_MESSAGE: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let sent: [&[u8]; 3] = [b"one", b"", b"three"];
        let wire: Vec<u8> = sent.iter().flat_map(|message| encode(message)).collect();
        for chunk in [1, 2, 5, 7, wire.len()] {
            let mut buffer = BytesMut::new();
            let mut got = Vec::new();
            for piece in wire.chunks(chunk) {
                buffer.extend_from_slice(piece);
                while let Ok(Some(message)) = decode(&mut buffer) {
                    got.push(message);
                }
            }
            assert_eq!(got, sent, "in chunks of {chunk}");
        }
    }

    #[test]
    fn a_message_that_is_compressed_or_too_long_is_refused() {
        let cases = [
            (&b"\x01\0\0\0\0"[..], "compressed"),
            (b"\0\xff\xff\xff\xff", "longer than 4 MiB"),
        ];
        for (wire, expected) in cases {
            let refused = decode(&mut BytesMut::from(wire));
            assert!(
                refused.is_err_and(|reason| reason.contains(expected)),
                "{expected}"
            );
        }
    }
}

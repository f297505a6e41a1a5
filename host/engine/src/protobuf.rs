//! Protocol buffers' wire format, as much of it as messages to and from guests need.

/// The fields of a message, one by one.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// A field's value, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Eight or four bytes: no message here has any.
    Fixed,
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        if key >> 3 == 0 {
            return None;
        }
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, field))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// Text of the last field of this number.
pub(super) fn text(message: &[u8], number: u64) -> Option<String> {
    let mut found = None;
    for field in Fields::of(message) {
        if let (known, Field::Bytes(bytes)) = field.ok()?
            && known == number
        {
            found = Some(std::str::from_utf8(bytes).ok()?.to_owned());
        }
    }
    found
}

/// Appends a field of bytes; empty ones are left out, as proto3 does.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_message(out, number, bytes);
    }
}

/// Appends a flag; one that is not set is left out.
pub(super) fn put_flag(out: &mut Vec<u8>, number: u64, flag: bool) {
    if flag {
        put_varint(out, number << 3);
        out.push(1);
    }
}

/// Appends a field of bytes, also an empty one.
pub(super) fn put_message(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn fields_are_read_in_order_and_lies_are_noticed() {
        let message = b"\x0a\x01k\x12\x02vw\x18\x02";
        let fields: Result<Vec<_>, _> = Fields::of(message).collect();
        let expected = vec![
            (1, Field::Bytes(b"k")),
            (2, Field::Bytes(b"vw")),
            (3, Field::Varint(2)),
        ];
        assert_eq!(fields, Ok(expected));
        let lies: [(&str, &[u8]); 5] = [
            ("a length beyond the end", b"\x0a\x09k"),
            (
                "a varint without an end",
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            ),
            ("field number 0", b"\x02\x00"),
            ("an unknown wire type", b"\x0f"),
            (
                "a length of 2^63",
                b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            ),
        ];
        for (why, message) in lies {
            let fields: Result<Vec<_>, _> = Fields::of(message).collect();
            assert_eq!(fields, Err(Malformed), "{why}");
        }
    }

    /// Arguments of a foreign function, one field of each wire type.
    #[derive(PartialEq, Message)]
    struct Arguments {
        #[prost(string, tag = "1")]
        text: String,
        #[prost(bytes = "vec", tag = "2")]
        bytes: Vec<u8>,
        #[prost(uint64, tag = "3")]
        number: u64,
        #[prost(double, tag = "4")]
        double: f64,
        #[prost(fixed32, tag = "5")]
        fixed: u32,
        #[prost(bool, tag = "6")]
        flag: bool,
        #[prost(bytes = "vec", tag = "4096")]
        last: Vec<u8>,
    }

    #[test]
    fn what_prost_writes_is_read_and_what_is_written_prost_reads() {
        let sizes = [1, 0x7f, 0x80, 0x3fff, 0x4000, 0x001f_ffff, 0x0020_0000];
        let numbers = [
            1,
            0x7f,
            0x80,
            1 << 32,
            u64::MAX >> 1,
            u64::MAX - 1,
            u64::MAX,
        ];
        for (size, number) in sizes.into_iter().zip(numbers) {
            let arguments = Arguments {
                text: "name".into(),
                bytes: vec![7; size],
                number,
                double: 0.5,
                fixed: 9,
                flag: true,
                last: b"last".to_vec(),
            };
            let message = arguments.encode_to_vec();
            let fields: Result<Vec<_>, _> = Fields::of(&message).collect();
            let expected = vec![
                (1, Field::Bytes(b"name")),
                (2, Field::Bytes(&arguments.bytes)),
                (3, Field::Varint(number)),
                (4, Field::Fixed),
                (5, Field::Fixed),
                (6, Field::Varint(1)),
                (4096, Field::Bytes(b"last")),
            ];
            assert!(fields == Ok(expected), "{size} bytes, number {number}");

            let mut written = Vec::new();
            put_bytes(&mut written, 1, b"name");
            put_bytes(&mut written, 2, &arguments.bytes);
            put_flag(&mut written, 6, true);
            put_bytes(&mut written, 4096, b"last");
            let read = Arguments::decode(&*written);
            let expected = Arguments {
                number: 0,
                double: 0.0,
                fixed: 0,
                ..arguments
            };
            assert!(read == Ok(expected), "{size} bytes");
        }
    }
}

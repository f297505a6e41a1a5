//! As much of protocol buffers as Envoy's messages to and from guests need.

use serde_json::Value;

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

/// Appends a field of bytes, be it empty.
fn put_message(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a `google.protobuf.Struct`.
pub(super) fn put_struct(out: &mut Vec<u8>, fields: &serde_json::Map<String, Value>) {
    for (name, value) in fields {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, name.as_bytes());
        let mut inner = Vec::new();
        put_value(&mut inner, value);
        put_message(&mut entry, 2, &inner);
        put_message(out, 1, &entry);
    }
}

/// Appends a `google.protobuf.Value`.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(&[1 << 3, 0]),
        Value::Bool(flag) => out.extend_from_slice(&[4 << 3, u8::from(*flag)]),
        Value::Number(number) => {
            out.push(2 << 3 | 1);
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Value::String(text) => put_message(out, 3, text.as_bytes()),
        Value::Object(fields) => {
            let mut inner = Vec::new();
            put_struct(&mut inner, fields);
            put_message(out, 5, &inner);
        }
        Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                let mut inner = Vec::new();
                put_value(&mut inner, item);
                put_message(&mut list, 1, &inner);
            }
            put_message(out, 6, &list);
        }
    }
}

/// Appends an `envoy.config.core.v3.Metadata`.
pub(super) fn put_metadata(out: &mut Vec<u8>, metadata: &Value) {
    let Some(Value::Object(filters)) = metadata.get("filter_metadata") else {
        return;
    };
    for (name, value) in filters {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, name.as_bytes());
        let mut inner = Vec::new();
        if let Value::Object(fields) = value {
            put_struct(&mut inner, fields);
        }
        put_message(&mut entry, 2, &inner);
        put_message(out, 1, &entry);
    }
}

/// Appends the parts of an `envoy.config.core.v3.Node` a host can have.
pub(super) fn put_node(out: &mut Vec<u8>, node: &Value) {
    let text = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .unwrap_or_default()
            .as_bytes()
            .to_vec()
    };
    put_bytes(out, 1, &text(node.get("id")));
    put_bytes(out, 2, &text(node.get("cluster")));
    if let Some(Value::Object(fields)) = node.get("metadata") {
        let mut inner = Vec::new();
        put_struct(&mut inner, fields);
        put_message(out, 3, &inner);
    }
    if let Some(locality) = node.get("locality") {
        let mut inner = Vec::new();
        put_locality(&mut inner, locality);
        put_message(out, 4, &inner);
    }
}

/// Appends an `envoy.config.core.v3.Locality`.
pub(super) fn put_locality(out: &mut Vec<u8>, locality: &Value) {
    for (number, name) in [(1, "region"), (2, "zone"), (3, "sub_zone")] {
        let text = locality
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default();
        put_bytes(out, number, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn metadata_is_written_as_envoy_writes_it() {
        let metadata = serde_json::json!({"filter_metadata": {"dtr": {"port": "443"}}});
        let mut out = Vec::new();
        put_metadata(&mut out, &metadata);
        let expected = b"\x0a\x16\x0a\x03dtr\x12\x0f\x0a\x0d\x0a\x04port\x12\x05\x1a\x03443";
        assert_eq!(out, expected);
    }
}

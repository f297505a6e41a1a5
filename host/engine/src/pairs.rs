//! The ABI's form of header maps: a count, all sizes, then all bytes, each name
//! and value closed by a zero byte.

use super::abi::Headers;

/// The headers in a guest's bytes, names in lower case; `None` when they break a
/// rule, or are more than 1024 pairs or 1 MiB.
pub fn decode(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::new());
    }
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let (count, rest) = number(bytes)?;
    if count > MAX_PAIRS {
        return None;
    }
    let (mut sizes, mut body) = rest.split_at_checked(count * 8)?;
    let mut headers = Headers::with_capacity(count);
    for _ in 0..count {
        let (name_len, rest) = number(sizes)?;
        let (value_len, rest) = number(rest)?;
        sizes = rest;
        let name = text(&mut body, name_len)?;
        let value = text(&mut body, value_len)?;
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        headers.push((name, value.to_vec()));
    }
    body.is_empty().then_some(headers)
}

/// Headers as a guest gets them.
pub fn encode(headers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_headers(headers, &mut bytes);
    bytes
}

/// As [`encode`], at the end of `out`.
pub(super) fn append_headers(headers: &Headers, out: &mut Vec<u8>) {
    append(
        headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_slice())),
        out,
    );
}

/// As [`append_headers`], of any names and values.
pub(super) fn append<'a>(
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    out: &mut Vec<u8>,
) {
    put(out, pairs.clone().count());
    for (name, value) in pairs.clone() {
        put(out, name.len());
        put(out, value.len());
    }
    for (name, value) in pairs {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
}

fn text<'a>(body: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (text, rest) = body.split_at_checked(len)?;
    let (zero, rest) = rest.split_first()?;
    *body = rest;
    (*zero == 0).then_some(text)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

fn put(out: &mut Vec<u8>, len: usize) {
    // What a guest gets fits its memory, which is smaller than 4 GiB.
    out.extend_from_slice(&(len as u32).to_le_bytes());
}

/// Most pairs a guest may hand over.
const MAX_PAIRS: usize = 1024;
/// Longest wire form a guest may hand over, bytes.
const MAX_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let headers: Headers = vec![
            (":path".into(), b"/_ping".to_vec()),
            ("x".into(), Vec::new()),
        ];
        assert_eq!(decode(&encode(&headers)), Some(headers));
    }

    #[test]
    fn pairs_that_lie_are_refused() {
        let one = |name: u32, value: u32, body: &[u8]| {
            let mut bytes = 1u32.to_le_bytes().to_vec();
            bytes.extend(name.to_le_bytes());
            bytes.extend(value.to_le_bytes());
            bytes.extend(body);
            bytes
        };
        let cases: [(&str, Vec<u8>, bool); 10] = [
            ("an honest pair", one(1, 1, b"a\0b\0"), true),
            ("nothing at all", vec![], true),
            ("half a count", vec![1, 0], false),
            ("a count with nothing behind", vec![1, 0, 0, 0], false),
            ("a count of 4 Gi", vec![255; 4], false),
            ("a name longer than the bytes", one(9, 1, b"a\0b\0"), false),
            ("a value of 4 GiB", one(1, u32::MAX, b"a\0b\0"), false),
            ("no zero after the name", one(1, 1, b"aXb\0"), false),
            ("no zero after the value", one(1, 1, b"a\0bX"), false),
            ("bytes left over", one(1, 1, b"a\0b\0c"), false),
        ];
        for (why, bytes, good) in cases {
            assert_eq!(decode(&bytes).is_some(), good, "{why}");
        }
        let mut many = 1025u32.to_le_bytes().to_vec();
        many.resize(4 + 1025 * 8 + 1025 * 2, 0);
        assert_eq!(decode(&many), None, "more than 1024 pairs");
        many[..4].copy_from_slice(&1024u32.to_le_bytes());
        many.truncate(4 + 1024 * 8 + 1024 * 2);
        assert_eq!(
            decode(&many).map(|p| p.len()),
            Some(1024),
            "exactly 1024 pairs"
        );
    }
}

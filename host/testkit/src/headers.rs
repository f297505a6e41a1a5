//! Reading and making headers.

use proxy_wasm_engine::Headers;

/// The first value of this name, if it is text.
pub(crate) fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let found = headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(&found.1).ok()
}

/// The value of `:status`; 0 without one.
pub(crate) fn status(headers: &Headers) -> u16 {
    header(headers, ":status")
        .and_then(|status| status.parse().ok())
        .unwrap_or_default()
}

/// A header; names are in lower case.
pub(crate) fn pair(name: &str, value: impl AsRef<[u8]>) -> (String, Vec<u8>) {
    (name.to_ascii_lowercase(), value.as_ref().to_vec())
}

/// Headers in this order.
pub(crate) fn pairs(headers: &[(&str, &str)]) -> Headers {
    let headers = headers.iter();
    headers.map(|(name, value)| pair(name, value)).collect()
}

/// The beginning of a response's headers.
pub(crate) fn of_status(status: impl ToString) -> Headers {
    vec![pair(":status", status.to_string())]
}

//! Reading headers.

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

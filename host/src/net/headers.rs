//! HTTP headers: as the engine has them, and as hyper has them.

use http::{HeaderMap, HeaderName, HeaderValue, response};

use proxy_wasm_engine::Headers;

/// The headers of a response, as a filter sees them.
pub(crate) fn response_headers(head: &response::Parts) -> Headers {
    let status = (":status".to_owned(), head.status.as_str().into());
    std::iter::once(status)
        .chain(pairs(&head.headers))
        .collect()
}

/// Names and values, as a filter sees them.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
}

/// Adds a filter's header.
///
/// # Errors
/// No name, or no value, of a header.
pub(crate) fn append(headers: &mut HeaderMap, name: &str, value: &[u8]) -> Result<(), String> {
    let parsed: HeaderName = name.parse().map_err(|error| format!("{name}: {error}"))?;
    let value = HeaderValue::from_bytes(value).map_err(|error| format!("{name}: {error}"))?;
    headers.append(parsed, value);
    Ok(())
}

/// Whether a filter's header of a request is left out: a pseudo header, or one that
/// says how this connection carries the request.
pub(crate) fn is_of_connection(name: &str) -> bool {
    name.starts_with(':') || OF_CONNECTION.contains(&name)
}

const OF_CONNECTION: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_header_is_refused_by_name() {
        let cases: [(&str, &[u8], _); 3] = [
            ("X-Probe", b"1", None),
            ("x probe", b"1", Some("x probe: ")),
            ("x-probe", b"1\n", Some("x-probe: ")),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            let refused = append(&mut headers, name, value).err();
            match expected {
                None => assert_eq!(
                    headers.get("x-probe").map(HeaderValue::as_bytes),
                    Some(value)
                ),
                Some(start) => {
                    assert!(headers.is_empty(), "{name} was added");
                    assert!(
                        refused.as_ref().is_some_and(|text| text.starts_with(start)),
                        "{refused:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn headers_of_the_connection_are_not_the_requests() {
        for name in [":path", ":scheme", "host", "connection", "content-length"] {
            assert!(is_of_connection(name), "{name}");
        }
        for name in ["accept", "x-host", "te"] {
            assert!(!is_of_connection(name), "{name}");
        }
    }
}

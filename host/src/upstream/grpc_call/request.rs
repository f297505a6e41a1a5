//! The head of a gRPC request.

use std::time::Duration;

use http::header::{CONTENT_TYPE, TE};
use http::{HeaderValue, Method, Request, Uri};

use super::outbound::Outgoing;
use crate::net::headers::{append, is_of_connection};
use crate::upstream::endpoint::Endpoint;
use proxy_wasm_engine::GrpcCall;

/// The request of a call, and the authority it is for.
///
/// # Errors
/// No path, or metadata that are no headers.
pub(super) fn request(
    call: &GrpcCall,
    to: &Endpoint,
    outgoing: Outgoing,
) -> Result<(Request<Outgoing>, String), String> {
    let path = format!("/{}/{}", call.service, call.method);
    let path: Uri = path.parse().map_err(|error| format!("{path}: {error}"))?;
    // As in Envoy, the cluster's name, when it can be one of a host.
    let mut authority = call.cluster.clone();
    let uri = to.absolute_uri(&authority, &path).or_else(|_| {
        let address = to.addresses().next();
        authority = address.map_or_else(|| "localhost".to_owned(), |address| address.to_string());
        to.absolute_uri(&authority, &path)
    })?;
    let mut request = Request::new(outgoing);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    for (name, value) in &call.metadata {
        if !is_of_connection(name) {
            append(headers, name, value)?;
        }
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(limit) = call.timeout {
        headers.insert("grpc-timeout", deadline(limit));
    }
    Ok((request, authority))
}

/// gRPC allows eight digits, so a long one is given in seconds.
fn deadline(limit: Duration) -> HeaderValue {
    let (number, unit) = match limit.as_millis() {
        millis if millis < 100_000_000 => (millis as u64, 'm'),
        _ => (limit.as_secs().min(99_999_999), 'S'),
    };
    HeaderValue::from_str(&format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("1S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_at_most_eight_digits() {
        let cases = [
            (1, "1m"),
            (99_999_999, "99999999m"),
            (100_000_000, "100000S"),
        ];
        for (millis, expected) in cases {
            assert_eq!(deadline(Duration::from_millis(millis)), expected);
        }
    }
}

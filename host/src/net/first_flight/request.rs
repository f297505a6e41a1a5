//! An HTTP/1 request that changes nothing.

use httparse::{EMPTY_HEADER, Header, Request, Status};

use super::resend::Resend;
use proxy_wasm_engine::End;

/// Judges what begins as a request of a safe method may.
pub(super) fn judge(sent: &[u8], end: End) -> Resend {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(sent) {
        Ok(Status::Complete(length)) if length == sent.len() && is_safe(&request) => Resend::Whole,
        Ok(Status::Partial) if end == End::More && begins_safely(sent) => Resend::Part,
        _ => Resend::Never,
    }
}

/// Judges a head that is not complete by those of its lines that are.
fn begins_safely(sent: &[u8]) -> bool {
    let Some(last) = sent.iter().rposition(|byte| *byte == b'\n') else {
        return false;
    };
    let head = [&sent[..=last], b"\r\n"].concat();
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut request = Request::new(&mut headers);
    matches!(request.parse(&head), Ok(Status::Complete(length)) if length == head.len())
        && is_safe(&request)
}

fn is_safe(request: &Request<'_, '_>) -> bool {
    let is_safe = request
        .method
        .is_some_and(|method| SAFE_METHODS.contains(&method));
    is_safe && request.headers.iter().all(announces_nothing)
}

/// Whether no body comes after a header, and no other protocol.
fn announces_nothing(header: &Header<'_>) -> bool {
    let name = |known: &&str| header.name.eq_ignore_ascii_case(known);
    match header.name.eq_ignore_ascii_case("content-length") {
        true => header.value.trim_ascii() == b"0",
        false => !["transfer-encoding", "upgrade", "expect"].iter().any(name),
    }
}

/// RFC 9110, 9.2.1, but TRACE, which nobody serves.
const SAFE_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// What they begin with.
pub(super) const FIRST_BYTES: [u8; 3] = *b"GHO";
/// A head that has more is not sent again.
const MOST_HEADERS: usize = 100;

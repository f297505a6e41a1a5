//! Who may see and change what the host itself serves: by the same rules as what the
//! filter serves.

use dtr_lb_filter::admin::access::{self, Purpose};
use dtr_lb_filter::admin::http::Request as FilterRequest;
use dtr_lb_filter::config::Admin;
use http::{HeaderValue, Request, StatusCode};

use crate::proxy::admin::reply::{JSON, Reply, reply};

/// Whether a request may do what it is for.
///
/// # Errors
/// What it is answered instead.
pub(super) fn admit<B>(
    request: &Request<B>,
    purpose: Purpose,
    access: &Admin,
) -> Result<(), Box<Reply>> {
    access::admit(&as_the_filter_sees_it(request), purpose, access).map_err(|denied| {
        let status = StatusCode::from_u16(denied.status).unwrap_or(StatusCode::FORBIDDEN);
        let text = String::from_utf8_lossy(&denied.body).into_owned();
        let mut reply = reply(status, JSON, text);
        for (name, value) in denied.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                reply.headers_mut().insert(name, value);
            }
        }
        Box::new(reply)
    })
}

fn as_the_filter_sees_it<B>(request: &Request<B>) -> FilterRequest {
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    FilterRequest {
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        headers: headers.collect(),
        client: String::new(),
        body: Vec::new(),
    }
}

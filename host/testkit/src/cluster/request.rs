//! A request as a cluster gets it.

use std::time::Duration;

use proxy_wasm_engine::Headers;

use crate::headers::header;

/// A request as a cluster gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The cluster asked.
    pub cluster: String,
    /// `:method`; `CONNECT` for a TCP connection.
    pub method: String,
    /// `:path`; `/Service/Method` for gRPC.
    pub path: String,
    /// `:authority`
    pub authority: String,
    /// All headers, in order, pseudo headers included.
    pub headers: Headers,
    /// The whole body; for gRPC one message.
    pub body: Vec<u8>,
    /// Trailers, in order.
    pub trailers: Headers,
    /// Time since the kit started.
    pub at: Duration,
}

impl Request {
    pub(crate) fn new(cluster: &str, at: Duration, headers: Headers) -> Request {
        let of = |name| header(&headers, name).unwrap_or_default().to_owned();
        Request {
            cluster: cluster.to_owned(),
            method: of(":method"),
            path: of(":path"),
            authority: of(":authority"),
            at,
            headers,
            ..Request::default()
        }
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The first trailer of this name, if it is text.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        header(&self.trailers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

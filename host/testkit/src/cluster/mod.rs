//! Clusters and how they behave.

pub(crate) mod clusters;
mod request;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use proxy_wasm_engine::Headers;
use proxy_wasm_engine::envoy::SERVICE_TIME;

use crate::headers::{header, of_status, pair, status};

pub use request::Request;

/// How a cluster behaves: towards HTTP and gRPC calls of the guest, towards
/// HTTP streams, and towards TCP connections.
///
/// Made by [`answers`], [`accepts`], [`refuses`], [`resets`],
/// [`breaks_off`], [`hangs`], [`decides`], [`first_of`], [`grpc_answers`] and [`grpc_fails`].
#[derive(Clone)]
pub struct Cluster {
    pub(crate) behaviour: Behaviour,
    pub(crate) delay: Duration,
    pub(crate) metadata: Arc<Value>,
    pub(crate) address: Option<SocketAddr>,
    /// Bytes in one piece of an answer's body.
    pub(crate) chunk: Option<usize>,
}

#[derive(Clone)]
pub(crate) enum Behaviour {
    Answers(CannedResponse),
    Refuses,
    Resets,
    BreaksOff,
    Hangs,
    Decides(Arc<Mutex<Decide>>),
    FirstOf(Vec<String>),
}

type Decide = dyn FnMut(&Request) -> Cluster + Send;

#[derive(Clone, Debug, Default)]
pub(crate) struct CannedResponse {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
    /// Of a gRPC answer; 0 is success.
    pub(crate) grpc_status: u32,
    pub(crate) grpc_message: String,
}

impl CannedResponse {
    fn new(status: u16) -> CannedResponse {
        CannedResponse {
            headers: of_status(status),
            ..CannedResponse::default()
        }
    }

    /// As the upstream sends them after `delay`: with the length of the body, unless
    /// the test set one, and with the header by which a filter tells an upstream's
    /// response from Envoy's own.
    pub(crate) fn full_headers(&self, delay: Duration) -> Headers {
        let mut headers = self.headers.clone();
        if !self.body.is_empty() && header(&headers, CONTENT_LENGTH).is_none() {
            headers.push(pair(CONTENT_LENGTH, self.body.len().to_string()));
        }
        headers.push(pair(SERVICE_TIME, delay.as_millis().to_string()));
        headers
    }
}

/// Answers every request with this status and body, and accepts connections. A
/// body brings its `content-length`.
pub fn answers(status: u16, body: impl AsRef<[u8]>) -> Cluster {
    Cluster::new(Behaviour::Answers(CannedResponse {
        body: body.as_ref().to_vec(),
        ..CannedResponse::new(status)
    }))
}

/// Accepts connections; answers requests with 200 and nothing in it.
pub fn accepts() -> Cluster {
    answers(200, "")
}

/// Refuses connections at once, as a port that nothing listens on.
pub fn refuses() -> Cluster {
    Cluster::new(Behaviour::Refuses)
}

/// Accepts connections and resets them when a request or the first bytes came.
pub fn resets() -> Cluster {
    Cluster::new(Behaviour::Resets)
}

/// Resets connections in the middle of a response. The guest's call fails
/// without any headers; an HTTP stream is reset after its response headers.
pub fn breaks_off() -> Cluster {
    Cluster::new(Behaviour::BreaksOff)
}

/// Never answers: requests end at their timeout, and so do connect attempts.
pub fn hangs() -> Cluster {
    Cluster::new(Behaviour::Hangs)
}

/// Behaves as the closure returns for each request. A TCP connection is a request
/// of method `CONNECT`; each message of a gRPC stream is a request of its own.
///
/// The closure must not use the kit or its handles: they are borrowed while it runs.
pub fn decides(decide: impl FnMut(&Request) -> Cluster + Send + 'static) -> Cluster {
    Cluster::new(Behaviour::Decides(Arc::new(Mutex::new(decide))))
}

/// An aggregate: the first of these clusters that accepts a connection serves
/// it. HTTP calls and streams go to the first one alone.
pub fn first_of<N: Into<String>>(clusters: impl IntoIterator<Item = N>) -> Cluster {
    let clusters = clusters.into_iter().map(Into::into).collect();
    Cluster::new(Behaviour::FirstOf(clusters))
}

/// Answers gRPC calls, and each message of a gRPC stream, with this message.
pub fn grpc_answers(message: impl AsRef<[u8]>) -> Cluster {
    answers(200, message)
}

/// Ends gRPC calls and streams with this status, such as 14 (unavailable).
pub fn grpc_fails(status: u32, message: impl Into<String>) -> Cluster {
    Cluster::new(Behaviour::Answers(CannedResponse {
        grpc_status: status,
        grpc_message: message.into(),
        ..CannedResponse::new(200)
    }))
}

impl Cluster {
    fn new(behaviour: Behaviour) -> Cluster {
        Cluster {
            behaviour,
            delay: Duration::ZERO,
            metadata: Arc::new(Value::Null),
            address: None,
            chunk: None,
        }
    }

    /// Answers, or accepts a connection, after `delay`. An answer that comes
    /// after the request's timeout comes too late.
    pub fn after(mut self, delay: Duration) -> Cluster {
        self.delay = delay;
        self
    }

    /// Adds a header to the answer; no effect on clusters that do not answer.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Cluster {
        if let Behaviour::Answers(answer) = &mut self.behaviour {
            answer.headers.push(pair(name, value));
        }
        self
    }

    /// Adds a trailer to the answer; no effect on clusters that do not answer.
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Cluster {
        if let Behaviour::Answers(answer) = &mut self.behaviour {
            answer.trailers.push(pair(name, value));
        }
        self
    }

    /// Sends an answer's body to an HTTP stream in pieces of `bytes` bytes.
    ///
    /// # Panics
    /// When it is 0.
    pub fn in_chunks_of(mut self, bytes: usize) -> Cluster {
        assert!(bytes > 0, "cluster: a chunk has at least one byte");
        self.chunk = Some(bytes);
        self
    }

    /// What guests read as `xds.upstream_host_metadata.filter_metadata`:
    /// `json!({"dtr": {"name": "r1"}})`.
    pub fn metadata(mut self, filter_metadata: Value) -> Cluster {
        self.metadata = Arc::new(serde_json::json!({ "filter_metadata": filter_metadata }));
        self
    }

    /// Where its one host is; made up if not given.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn address(mut self, address: &str) -> Cluster {
        let parsed = address.parse();
        let Ok(parsed) = parsed else {
            panic!("cluster: address {address:?} is not IP:PORT, such as 10.0.0.1:443");
        };
        self.address = Some(parsed);
        self
    }

    /// How it behaves towards this request: its closure is asked.
    pub(crate) fn decide(&self, request: &Request) -> Cluster {
        let mut decided = self.clone();
        // A closure may return another closure; not for ever.
        for _ in 0..16 {
            let Behaviour::Decides(decide) = &decided.behaviour else {
                break;
            };
            let decide = decide.clone();
            let mut decide = decide.lock().unwrap_or_else(PoisonError::into_inner);
            let mut next = decide(request);
            next.delay += decided.delay;
            if next.metadata.is_null() {
                next.metadata = decided.metadata;
            }
            next.address = next.address.or(decided.address);
            decided = next;
        }
        decided
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.behaviour {
            Behaviour::Answers(answer) => write!(f, "answers {}", status(&answer.headers)),
            Behaviour::Refuses => f.write_str("refuses"),
            Behaviour::Resets => f.write_str("resets"),
            Behaviour::BreaksOff => f.write_str("breaks off"),
            Behaviour::Hangs => f.write_str("hangs"),
            Behaviour::Decides(_) => f.write_str("decides"),
            Behaviour::FirstOf(clusters) => write!(f, "first of {}", clusters.join(", ")),
        }
    }
}

const CONTENT_LENGTH: &str = "content-length";

/// The cluster that is always there, where streams go by default.
pub(crate) const DEFAULT: &str = "default";

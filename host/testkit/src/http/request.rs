//! Preparing an HTTP request.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use proxy_wasm_engine::{End, Headers, HttpInfo, TcpInfo};

use crate::headers::{pair, pairs};
use crate::http::exchange::Exchange;
use crate::http::piece::Piece;
use crate::simulator::Simulator;
use crate::tcp::connect::{check_worker, new_info, parse, root};

/// An HTTP request that is not sent yet; made by [`TestKit::http`](crate::TestKit::http).
/// `GET / HTTP/1.1` to `example.com`, unless it says otherwise.
pub struct HttpRequest {
    simulator: Rc<RefCell<Simulator>>,
    worker: usize,
    root_id: Option<String>,
    connection: TcpInfo,
    cluster: String,
    headers: Headers,
    protocol: Option<Arc<str>>,
    properties: Vec<(String, Vec<u8>)>,
}

impl HttpRequest {
    pub(crate) fn new(simulator: Rc<RefCell<Simulator>>, cluster: &str) -> HttpRequest {
        HttpRequest {
            worker: 0,
            root_id: None,
            connection: new_info(&simulator),
            cluster: cluster.to_owned(),
            headers: pairs(&[
                (":authority", "example.com"),
                (":path", "/"),
                (":method", "GET"),
                (":scheme", "http"),
            ]),
            protocol: None,
            properties: Vec::new(),
            simulator,
        }
    }

    /// `GET` of this path.
    pub fn get(self, path: &str) -> HttpRequest {
        self.method("GET").path(path)
    }

    /// `POST` to this path.
    pub fn post(self, path: &str) -> HttpRequest {
        self.method("POST").path(path)
    }

    /// `:method`
    pub fn method(self, method: &str) -> HttpRequest {
        self.set(":method", method)
    }

    /// `:path`
    pub fn path(self, path: &str) -> HttpRequest {
        self.set(":path", path)
    }

    /// `:authority`
    pub fn authority(self, authority: &str) -> HttpRequest {
        self.set(":authority", authority)
    }

    /// `:scheme`
    pub fn scheme(self, scheme: &str) -> HttpRequest {
        self.set(":scheme", scheme)
    }

    /// Adds these headers.
    pub fn headers(self, headers: &[(&str, &str)]) -> HttpRequest {
        let each = headers.iter();
        each.fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Adds a header; names become lower case, and may repeat.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> HttpRequest {
        self.headers.push(pair(name, value));
        self
    }

    /// Property `request.protocol`; `HTTP/1.1` by default.
    pub fn protocol(mut self, protocol: &str) -> HttpRequest {
        self.protocol = Some(protocol.into());
        self
    }

    /// The client's address; made up by default.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn from(mut self, address: &str) -> HttpRequest {
        self.connection.source = parse("from", address);
        self
    }

    /// The address it came to; 10.0.0.1:443 by default.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn to(mut self, address: &str) -> HttpRequest {
        self.connection.destination = parse("to", address);
        self
    }

    /// Which worker takes it, counted from 0; the first by default.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn on_worker(mut self, worker: usize) -> HttpRequest {
        check_worker(&self.simulator, worker);
        self.worker = worker;
        self
    }

    /// Which plugin filters it, by root id; the first by default.
    pub fn root_id(mut self, root_id: &str) -> HttpRequest {
        self.root_id = Some(root_id.to_owned());
        self
    }

    /// The cluster it goes to; `default` by default.
    pub fn cluster(mut self, name: &str) -> HttpRequest {
        self.cluster = name.to_owned();
        self
    }

    /// What the guest reads as `listener_metadata.filter_metadata`.
    pub fn listener_metadata(mut self, filter_metadata: Value) -> HttpRequest {
        self.connection.listener_metadata = Arc::new(json!({ "filter_metadata": filter_metadata }));
        self
    }

    /// A property of this request alone, by its path with dots.
    pub fn property(mut self, path: impl Into<String>, value: impl AsRef<[u8]>) -> HttpRequest {
        self.properties.push((path.into(), value.as_ref().to_vec()));
        self
    }

    /// Sends the request, which has no body.
    pub fn send(self) -> Exchange {
        self.begin(End::Last)
    }

    /// Sends the request with this body. As from HTTP/1, the guest gets the body
    /// first and then, with no bytes, its end.
    pub fn send_body(self, body: impl AsRef<[u8]>) -> Exchange {
        let mut exchange = self.begin(End::More);
        exchange.send(body);
        exchange.send_last("");
        exchange
    }

    /// Sends the headers; body and trailers are to follow.
    pub fn open(self) -> Exchange {
        self.begin(End::More)
    }

    fn begin(self, end: End) -> Exchange {
        let key = {
            let mut simulator = self.simulator.borrow_mut();
            let root = root(&simulator, self.worker, self.root_id.as_deref());
            let mut info = HttpInfo::new(self.connection, self.headers.clone());
            if let Some(protocol) = self.protocol {
                info.protocol = protocol;
            }
            let key = simulator.open_stream(self.worker, root, info, self.cluster, self.properties);
            simulator.client_sends(key, Piece::Headers(self.headers, end));
            simulator.settle();
            key
        };
        Exchange::new(self.simulator, key)
    }

    fn set(mut self, name: &str, value: &str) -> HttpRequest {
        for pair in &mut self.headers {
            if pair.0 == name {
                pair.1 = value.as_bytes().to_vec();
            }
        }
        self
    }
}

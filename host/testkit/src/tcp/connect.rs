//! Opening a TCP connection.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use proxy_wasm_engine::{ContextId, ListenerDirection, TcpInfo};

use crate::simulator::Simulator;
use crate::tcp::client::Client;

/// A TCP connection that is not open yet; made by [`TestKit::tcp`](crate::TestKit::tcp).
pub struct TcpConnect {
    simulator: Rc<RefCell<Simulator>>,
    worker: usize,
    root_id: Option<String>,
    info: TcpInfo,
    cluster: String,
    properties: Vec<(String, Vec<u8>)>,
}

impl TcpConnect {
    pub(crate) fn new(simulator: Rc<RefCell<Simulator>>, cluster: &str) -> TcpConnect {
        TcpConnect {
            worker: 0,
            root_id: None,
            info: new_info(&simulator),
            cluster: cluster.to_owned(),
            properties: Vec::new(),
            simulator,
        }
    }

    /// The client's address; made up by default.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn from(mut self, address: &str) -> TcpConnect {
        self.info.source = parse("from", address);
        self
    }

    /// The address it connects to; 10.0.0.1:443 by default.
    ///
    /// # Panics
    /// When this is not an IP address with a port.
    pub fn to(mut self, address: &str) -> TcpConnect {
        self.info.destination = parse("to", address);
        self
    }

    /// Which worker takes it, counted from 0; the first by default.
    ///
    /// # Panics
    /// When there is no such worker.
    pub fn on_worker(mut self, worker: usize) -> TcpConnect {
        check_worker(&self.simulator, worker);
        self.worker = worker;
        self
    }

    /// Which plugin filters it, by root id; the first by default.
    pub fn root_id(mut self, root_id: &str) -> TcpConnect {
        self.root_id = Some(root_id.to_owned());
        self
    }

    /// The cluster it goes to unless the filter chooses; `default` by default.
    pub fn cluster(mut self, name: &str) -> TcpConnect {
        self.cluster = name.to_owned();
        self
    }

    /// What the guest reads as `listener_metadata.filter_metadata`:
    /// `json!({"dtr": {"port": "443"}})`.
    pub fn listener_metadata(mut self, filter_metadata: Value) -> TcpConnect {
        self.info.listener_metadata = Arc::new(json!({ "filter_metadata": filter_metadata }));
        self
    }

    /// What the guest reads as `listener_direction`.
    pub fn listener_direction(mut self, direction: ListenerDirection) -> TcpConnect {
        self.info.listener_direction = direction;
        self
    }

    /// The name that TLS asks for, as `connection.requested_server_name`.
    pub fn server_name(mut self, name: &str) -> TcpConnect {
        self.info.requested_server_name = Some(name.into());
        self
    }

    /// A property of this connection alone, by its path with dots. Known to the
    /// guest from `on_new_connection` on.
    pub fn property(mut self, path: impl Into<String>, value: impl AsRef<[u8]>) -> TcpConnect {
        self.properties.push((path.into(), value.as_ref().to_vec()));
        self
    }

    /// The client connects.
    ///
    /// # Panics
    /// When no plugin has the root id asked for.
    pub fn connect(self) -> Client {
        let key = {
            let mut simulator = self.simulator.borrow_mut();
            let root = root(&simulator, self.worker, self.root_id.as_deref());
            let key =
                simulator.connect(self.worker, root, self.info, self.cluster, self.properties);
            simulator.settle();
            key
        };
        Client::new(self.simulator, key)
    }
}

/// A connection as it comes, with a made-up client.
pub(crate) fn new_info(simulator: &Rc<RefCell<Simulator>>) -> TcpInfo {
    let mut simulator = simulator.borrow_mut();
    simulator.last_connection_id += 1;
    let id = simulator.last_connection_id;
    let port = u16::try_from(50_000 + id % 10_000).unwrap_or(50_000);
    let source = SocketAddr::from(([10, 0, 1, 1], port));
    let destination = SocketAddr::from(([10, 0, 0, 1], 443));
    TcpInfo::new(id, source, destination)
}

pub(crate) fn check_worker(simulator: &Rc<RefCell<Simulator>>, worker: usize) {
    let count = simulator.borrow().workers.len();
    assert!(
        worker < count,
        "worker {worker}: there are {count}, counted from 0; ask for more with .workers(..)"
    );
}

pub(crate) fn root(simulator: &Simulator, worker: usize, root_id: Option<&str>) -> ContextId {
    let Some(vm) = simulator.workers[worker].vm.as_ref() else {
        // Without a VM the root does not matter.
        return ContextId(0);
    };
    let found = match root_id {
        Some(root_id) => vm.root(root_id),
        None => vm.roots().first().copied(),
    };
    let Some(found) = found else {
        let known: Vec<&str> = simulator.workers[worker]
            .config
            .plugins
            .iter()
            .map(|plugin| plugin.root_id.as_str())
            .collect();
        panic!(
            "no plugin has root id {:?}; there are {known:?}",
            root_id.unwrap_or_default()
        );
    };
    found
}

pub(crate) fn parse(what: &str, address: &str) -> SocketAddr {
    let Ok(parsed) = address.parse() else {
        panic!("{what}: {address:?} is not IP:PORT, such as 10.0.0.7:4000");
    };
    parsed
}

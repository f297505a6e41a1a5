//! What the filter and the hosts that run it must agree on, once: names of
//! clusters, routes and plugins, and the keys under which they hand each other
//! what they know. Both sides call these, so that neither repeats the other.
//!
//! | what | such as |
//! |---|---|
//! | the cluster of a replica on a port | `443/r1` |
//! | the cluster a check probes a replica through | `ping/r1` |
//! | all replicas of a port, for want of a choice | `443` |
//! | a route: a replica, and its runner-up | `443/r1>r3` |
//! | a route that goes on with all the others | `443/r1>r3>*` |
//! | the root id of a listener's plugin | `dtr-lb/443` |
//!
//! And what a line of the log is about: [`LogLine`] writes it, [`LogFields`] reads it.

mod cluster_name;
mod key;
mod log_line;
pub mod metric_name;
mod root;
mod route;
mod server_names;
mod shared_key;

pub use cluster_name::ClusterNames;
pub use key::{
    CLUSTER_STATUS, HELLO_TIMEOUT, METADATA, METADATA_REPLICA, PEER_CERTIFICATE, PEER_PROPERTY,
    PEER_STATE, REFUSAL_PROPERTY, REFUSAL_STATE, REPLICA_ANSWERED, REPLICA_DOWN, REPLICA_PROPERTY,
    SERVICE_PROPERTY, STEERING_FUNCTION, STEERING_KEY, UNTRUSTED_HEADER, VM_ID,
};
pub use log_line::{LogField, LogFields, LogLine};
pub use root::{ADMIN_ROOT, listener_root, port_of_root};
pub use route::{Others, Route, Routes, routes};
pub use server_names::{ServerNames, normalized};
pub use shared_key::shared_key;

/// For so long after a connection began a server that ends it has not lost patience
/// with a client that is still sending its request.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

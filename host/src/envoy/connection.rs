//! Settings of every connection, to clients and to replicas.

use super::yaml::{Node, yaml};

/// A dead peer is noticed within two minutes; a quiet one is left alone.
pub(super) fn keepalive() -> Node {
    yaml!({ "keepalive_time": 60, "keepalive_interval": 10, "keepalive_probes": 6 })
}

//! A call of the guest.

use std::time::Duration;

use proxy_wasm_engine::{ContextId, Headers};

use crate::cluster::{CannedResponse, Cluster};

/// A call under way.
pub(crate) struct Call {
    pub(crate) cluster: String,
    pub(crate) kind: CallKind,
    /// How the cluster behaves, once it is known.
    pub(crate) outcome: Option<Cluster>,
    pub(crate) endless: bool,
}

pub(crate) enum CallKind {
    Http { root: ContextId },
    Unary,
    Stream(OpenGrpcStream),
}

pub(crate) struct OpenGrpcStream {
    pub(crate) headers: Headers,
    /// Whether the guest has got initial metadata.
    pub(crate) initial_metadata_sent: bool,
    /// Answers that are not due yet.
    pub(crate) answers: Vec<CannedResponse>,
    pub(crate) half_closed: bool,
}

impl Call {
    pub(crate) fn new(cluster: &str, kind: CallKind, timeout: Option<Duration>) -> Call {
        Call {
            cluster: cluster.to_owned(),
            kind,
            outcome: None,
            endless: timeout.is_none(),
        }
    }
}

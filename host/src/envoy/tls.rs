//! TLS towards replicas, for probes.

use std::path::Path;

use super::options::BootstrapOptions;
use super::yaml::{Node, yaml};
use crate::config::Verify;

/// The transport socket of a cluster that is probed over TLS.
pub(super) fn transport_socket(verify: &Verify, options: &BootstrapOptions) -> Node {
    let validation = match verify {
        Verify::System => trusted(&options.system_roots),
        Verify::CaFile(path) => trusted(path),
        Verify::None => Node::Null,
    };
    yaml!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": { "validation_context": (validation) },
        },
    })
}

fn trusted(certificates: &Path) -> Node {
    // Envoy may be started in another folder.
    let certificates = std::path::absolute(certificates).unwrap_or_else(|_| certificates.into());
    yaml!({ "trusted_ca": { "filename": (certificates.to_string_lossy().into_owned()) } })
}

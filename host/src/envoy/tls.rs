//! TLS towards replicas, for probes, and towards clients of the admin listener.

use std::path::Path;

use super::options::BootstrapOptions;
use super::yaml::{Node, yaml};
use crate::config::{AdminTls, Verify};

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

/// The transport socket of the admin listener's clients.
pub(super) fn downstream_transport_socket(tls: &AdminTls) -> Node {
    yaml!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["http/1.1"],
                "tls_certificates": [{
                    "certificate_chain": (file(&tls.certificate)),
                    "private_key": (file(&tls.key)),
                }],
            },
        },
    })
}

fn trusted(certificates: &Path) -> Node {
    yaml!({ "trusted_ca": (file(certificates)) })
}

fn file(path: &Path) -> Node {
    // Envoy may be started in another folder.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    yaml!({ "filename": (path.to_string_lossy().into_owned()) })
}

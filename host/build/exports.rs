//! What the filter's module exports, and so what a host enters its VM for.

/// Every export that is kept, and what it is for. The SDK exports each callback of the
/// ABI; those that are not here would do nothing.
pub(crate) const KEPT: [(&str, &str); 16] = [
    ("memory", "what the host reads and writes"),
    ("proxy_abi_version_0_2_1", "the version of the ABI"),
    (
        "_initialize",
        "sets up the panic hook and the root contexts",
    ),
    ("malloc", "room for what the host hands over"),
    (
        "proxy_on_context_create",
        "a root, a connection or a request begins",
    ),
    ("proxy_on_configure", "a root is given its configuration"),
    ("proxy_on_tick", "probes are due, and what the VMs share"),
    ("proxy_on_http_call_response", "a probe is answered"),
    ("proxy_on_new_connection", "a connection is given its route"),
    (
        "proxy_on_downstream_data",
        "which of several registries a client of plain HTTP wants; under a name that no \
         proxy calls, see set_aside.rs",
    ),
    (
        "proxy_on_downstream_connection_close",
        "whether the replica was the first to end, where the host can't say so",
    ),
    (
        "proxy_on_upstream_connection_close",
        "a replica ends its side",
    ),
    (
        "proxy_on_request_headers",
        "a request of the admin listener",
    ),
    ("proxy_on_request_body", "a change it asks for"),
    (
        "proxy_on_done",
        "a connection or a request is over; whether a root may end",
    ),
    ("proxy_on_delete", "a context is freed"),
];

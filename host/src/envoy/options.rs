//! Where things are on the machine that runs Envoy.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What a bootstrap needs to know besides the plan.
#[derive(Clone, Debug)]
pub struct BootstrapOptions {
    /// Where the filter's module is on the machine that runs Envoy.
    pub wasm: PathBuf,
    /// Where Envoy serves its own admin pages (`/stats/prometheus`, `/ready`);
    /// keep it on loopback, since any client that reaches it may stop Envoy.
    pub envoy_admin: SocketAddr,
    /// The certificates that `"verify": "system"` means there.
    pub system_roots: PathBuf,
    /// Where Envoy sees the [`Folder`](super::Folder) that it watches; `None`: all is in
    /// the bootstrap.
    pub watched: Option<PathBuf>,
}

impl BootstrapOptions {
    /// For a module at that path: admin on 127.0.0.1:9901, certificates where
    /// Debian and Envoy's own image have them, all in the bootstrap.
    #[must_use]
    pub fn with_wasm(wasm: impl Into<PathBuf>) -> Self {
        Self {
            wasm: wasm.into(),
            envoy_admin: SocketAddr::from(([127, 0, 0, 1], 9901)),
            system_roots: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            watched: None,
        }
    }
}

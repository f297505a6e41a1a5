//! What a VM may know of this host.

use std::sync::Arc;

use tokio::sync::Notify;
use tracing::Level;

use crate::filters::log::LogSource;
use crate::upstream::cluster::Clusters;
use proxy_wasm_engine::{Environment, LogLine};

/// What a VM may know of this host.
pub(super) struct HostEnvironment {
    clusters: Arc<Clusters>,
    woken: Notify,
    log_source: LogSource,
}

impl HostEnvironment {
    pub(super) fn new(clusters: Arc<Clusters>, log_source: LogSource) -> HostEnvironment {
        HostEnvironment {
            clusters,
            woken: Notify::new(),
            log_source,
        }
    }

    /// Waits until another VM has left something for this one.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Environment for HostEnvironment {
    fn has_cluster(&self, name: &str) -> bool {
        self.clusters.target(name).is_some()
    }

    fn wake(&self) {
        self.woken.notify_one();
    }

    fn log(&self, line: &LogLine<'_>) {
        self.log_source.write(line);
    }

    fn log_enabled(&self, level: Level) -> bool {
        self.log_source.enabled(level)
    }
}

//! What a VM may know of this host.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::upstream::cluster::Clusters;
use proxy_wasm_engine::World;

/// What a VM may know of this host.
pub(super) struct HostWorld {
    clusters: Arc<Clusters>,
    woken: Notify,
}

impl HostWorld {
    pub(super) fn new(clusters: Arc<Clusters>) -> HostWorld {
        HostWorld {
            clusters,
            woken: Notify::new(),
        }
    }

    /// Waits until another VM has left something for this one.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl World for HostWorld {
    fn has_cluster(&self, name: &str) -> bool {
        self.clusters.target(name).is_some()
    }

    fn wake(&self) {
        self.woken.notify_one();
    }
}

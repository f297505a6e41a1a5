//! What has been counted: `/metrics` for programs, and `/host` for people and the page.

use std::sync::atomic::Ordering::Relaxed;

use http::StatusCode;

use crate::metrics::{self, HostMetrics, HostStatus};
use crate::proxy::admin::reply::{Reply, json, reply};
use crate::proxy::cluster_watch;
use crate::proxy::shared_state::SharedState;

/// As Prometheus text.
pub(super) fn metrics(shared: &SharedState) -> Reply {
    let filter = metrics::of_plan(
        shared.vm_data.metrics(),
        &shared.replicas,
        shared.services.as_deref(),
    );
    let text = metrics::render(&host_metrics(shared), filter);
    reply(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    )
}

/// As JSON, what the host itself measures.
pub(super) fn host(shared: &SharedState) -> Reply {
    let filter = shared.vm_data.metrics();
    let phase = shared.phases.borrow().shown();
    json(&HostStatus::of(&host_metrics(shared), &filter, phase))
}

fn host_metrics(shared: &SharedState) -> HostMetrics<'_> {
    HostMetrics {
        workers: shared.all_counters.total(),
        admission: &shared.admission,
        reloads: &shared.reloads,
        log_lines_dropped: shared.options.log_lines_dropped.load(Relaxed),
        certificates: shared.clusters.certificate_expiries().collect(),
        cluster_findings: (shared.with_cluster_status.iter())
            .filter_map(|service| {
                let found = cluster_watch::found(&shared.vm_data, service.as_deref())?;
                Some((service.clone(), found))
            })
            .collect(),
    }
}

//! All metrics as Prometheus text.

use std::sync::atomic::Ordering::Relaxed;

use crate::cluster_status::{Finding, FindingKind};
use crate::control::admission::Admission;
use crate::metrics::counters::SESSION_BOUNDS;
use crate::metrics::exposition::{Exposition, label, with_label};
use crate::metrics::filter_text::render_filter;
use crate::metrics::process::render_process;
use crate::metrics::traffic::{CONNECT_BOUNDS, TrafficTotals};
use crate::metrics::worker_counters::Totals;
use crate::metrics::{Counters, Reason, Reloads};
use crate::upstream::shown_certificate::CertificateExpiry;
use proxy_wasm_engine::Metric;

/// What the host itself measures.
pub(crate) struct HostMetrics<'a> {
    pub(crate) workers: Totals,
    pub(crate) admission: &'a Admission,
    pub(crate) reloads: &'a Reloads,
    pub(crate) log_lines_dropped: u64,
    pub(crate) certificates: Vec<CertificateExpiry>,
    /// What a registry's own word on its replicas comes to, for each that is asked. Of
    /// several services each has a name.
    pub(crate) cluster_findings: Vec<(Option<String>, Vec<Finding>)>,
}

/// Everything as Prometheus text, format 0.0.4.
///
/// Our own writer, since the numbers are not the library's to keep: each worker has its
/// own atomics, added up here, and those of filters are defined by filters.
pub(crate) fn render(host: &HostMetrics<'_>, filter: Vec<Metric>) -> String {
    let mut text = Exposition::default();
    render_build(&mut text);
    host.reloads.render(&mut text);
    render_connections(&mut text, &host.workers.counters, host.admission);
    render_traffic(&mut text, &host.workers.traffic);
    render_workers(&mut text, &host.workers.counters);
    render_replicas(&mut text, host);
    text.counter(
        "dtr_lb_host_log_lines_dropped_total",
        "Log lines dropped because they could not be written.",
        host.log_lines_dropped,
    );
    render_filter(&mut text, filter);
    render_process(&mut text);
    text.into_text()
}

fn render_build(text: &mut Exposition) {
    text.gauges(
        "dtr_lb_build_info",
        "Always 1; which version it is.",
        [(label("version", env!("CARGO_PKG_VERSION")), 1)],
    );
}

fn render_connections(text: &mut Exposition, counters: &Counters, admission: &Admission) {
    text.counter(
        "dtr_lb_host_connections_accepted_total",
        "Connections accepted.",
        counters.accepted.load(Relaxed),
    );
    text.gauge(
        "dtr_lb_host_connections_active",
        "Connections open now.",
        counters.active(),
    );
    text.gauge(
        "dtr_lb_host_connections_limit",
        "Connections that may be open at once.",
        admission.limit(),
    );
    text.counter(
        "dtr_lb_host_connections_limit_reached_total",
        "Connections that waited since as many were open as may be.",
        admission.waited(),
    );
    text.counters(
        "dtr_lb_host_connections_closed_total",
        "Connections closed, by reason.",
        Reason::ALL.map(|reason| {
            let closed = &counters.closed[reason as usize];
            (label("reason", reason.as_str()), closed.load(Relaxed))
        }),
    );
    text.histograms(
        "dtr_lb_host_session_duration_seconds",
        "How long connections lasted, from accept to close.",
        [(
            String::new(),
            counters.session_durations.distribution(&SESSION_BOUNDS),
        )],
    );
    text.counter(
        "dtr_lb_host_connect_failures_total",
        "Connect attempts to replicas that failed.",
        counters.connect_failures.load(Relaxed),
    );
    text.counter(
        "dtr_lb_host_first_flight_resent_total",
        "Times another replica was sent what a client had sent to one that ended before its first byte.",
        counters.first_flight_resent.load(Relaxed),
    );
    text.counter(
        "dtr_lb_host_accept_errors_total",
        "Connections the system could not hand over.",
        counters.accept_errors.load(Relaxed),
    );
}

fn render_traffic(text: &mut Exposition, traffic: &TrafficTotals) {
    let bytes = traffic.bytes.iter().flat_map(|((port, replica), bytes)| {
        let labels = label("listener", &port.to_string());
        let labels = with_label(&labels, "replica", replica);
        let ways = [("replica", bytes.to_replica), ("client", bytes.to_client)];
        ways.map(|(to, bytes)| (with_label(&labels, "to", to), bytes))
    });
    text.counters(
        "dtr_lb_host_bytes_total",
        "Bytes forwarded, by listener, replica, and the side they were sent to.",
        bytes,
    );
    let connects = traffic.connects.iter().map(|(replica, connects)| {
        let connects = connects.distribution(&CONNECT_BOUNDS);
        (label("replica", replica), connects)
    });
    text.histograms(
        "dtr_lb_host_connect_duration_seconds",
        "How long it took to connect to a replica, where that succeeded.",
        connects,
    );
}

fn render_workers(text: &mut Exposition, counters: &Counters) {
    text.gauge(
        "dtr_lb_host_workers",
        "Workers, those that only end their connections included.",
        counters.alive.load(Relaxed),
    );
    text.gauge(
        "dtr_lb_host_vm_running",
        "VMs of filters that run; each worker has its own.",
        counters.vm_running.load(Relaxed),
    );
    text.counter(
        "dtr_lb_host_vm_failures_total",
        "Times a filter failed and was taken out.",
        counters.vm_failures.load(Relaxed),
    );
    text.counter(
        "dtr_lb_host_vm_reloads_total",
        "Times a filter was put back after a failure.",
        counters.vm_reloads.load(Relaxed),
    );
}

fn render_replicas(text: &mut Exposition, host: &HostMetrics<'_>) {
    let certificates = host.certificates.iter().map(|one| {
        let labels = with_label(&label("replica", &one.replica), "check", &one.check);
        (labels, one.not_after)
    });
    text.gauges(
        "dtr_lb_host_certificate_expiry_timestamp_seconds",
        "When the certificate expires that a replica last showed to a check, in Unix seconds.",
        certificates,
    );
    if host.cluster_findings.is_empty() {
        return;
    }
    let findings = host.cluster_findings.iter().flat_map(|(service, found)| {
        FindingKind::ALL.map(|kind| {
            let count = found.iter().filter(|finding| finding.kind == kind).count();
            let labels = label("kind", kind.name());
            let labels = match service {
                None => labels,
                Some(service) => with_label(&labels, "service", service),
            };
            (labels, count)
        })
    });
    text.gauges(
        "dtr_lb_host_cluster_findings",
        "What is worth a look in the registry's own status of its replicas, by kind.",
        findings,
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proxy_wasm_engine::Direction;

    use super::*;
    use crate::metrics::{TrafficNames, WorkerCounters};

    #[test]
    fn what_is_open_is_what_was_accepted_and_not_closed() {
        let all = WorkerCounters::default();
        let names = Arc::new(TrafficNames::new([443], ["r1"]));
        let workers = all.add(2, &names);
        let _open = [workers[0].open(), workers[0].open(), workers[1].open()];
        workers[0]
            .open()
            .close(Reason::Idle, Duration::from_secs(2));
        drop(workers[1].open());
        let traffic = &workers[0].traffic;
        let (listener, replica) = (names.listener(443), names.replica("r1"));
        let took = Duration::from_micros(1500);
        let at = traffic.connected(listener, replica, took);
        traffic.moved(at, Direction::Upstream, 10);
        let stale = || Finding {
            kind: FindingKind::Stale,
            about: "a1".to_owned(),
            text: String::new(),
        };
        let reloads = Reloads::new();
        reloads.count(&Ok::<_, ()>(()));
        reloads.count(&Err::<(), _>(()));
        let host = HostMetrics {
            workers: all.total(),
            admission: &Admission::default(),
            reloads: &reloads,
            log_lines_dropped: 7,
            certificates: vec![CertificateExpiry {
                replica: "r1".into(),
                check: "ping".into(),
                not_after: 1_893_456_000,
            }],
            cluster_findings: vec![
                (None, vec![stale()]),
                (Some("quay".to_owned()), vec![stale(), stale()]),
            ],
        };
        let text = format!("\n{}", render(&host, Vec::new()));
        for line in [
            "dtr_lb_host_connections_closed_total{reason=\"internal-error\"} 1",
            "dtr_lb_host_connections_accepted_total 5",
            "dtr_lb_host_connections_active 3",
            "dtr_lb_host_connections_closed_total{reason=\"idle\"} 1",
            "dtr_lb_host_session_duration_seconds_bucket{le=\"1\"} 0",
            "dtr_lb_host_session_duration_seconds_bucket{le=\"5\"} 1",
            "dtr_lb_host_session_duration_seconds_sum 2",
            "dtr_lb_host_bytes_total{listener=\"443\",replica=\"r1\",to=\"client\"} 10",
            "dtr_lb_host_bytes_total{listener=\"443\",replica=\"r1\",to=\"replica\"} 0",
            "dtr_lb_host_connect_duration_seconds_bucket{replica=\"r1\",le=\"0.001\"} 0",
            "dtr_lb_host_connect_duration_seconds_bucket{replica=\"r1\",le=\"0.0025\"} 1",
            "dtr_lb_host_connect_duration_seconds_sum{replica=\"r1\"} 0.0015",
            "dtr_lb_host_config_last_reload_successful 0",
            "dtr_lb_host_config_reloads_total{result=\"success\"} 1",
            "dtr_lb_host_config_reloads_total{result=\"failure\"} 1",
            "dtr_lb_host_log_lines_dropped_total 7",
            "dtr_lb_host_certificate_expiry_timestamp_seconds{replica=\"r1\",check=\"ping\"} 1893456000",
            "dtr_lb_host_cluster_findings{kind=\"stale\"} 1",
            "dtr_lb_host_cluster_findings{kind=\"silent\"} 0",
            "dtr_lb_host_cluster_findings{kind=\"stale\",service=\"quay\"} 2",
        ] {
            assert!(
                text.contains(&format!("\n{line}\n")),
                "{line} is missing in\n{text}"
            );
        }
    }
}

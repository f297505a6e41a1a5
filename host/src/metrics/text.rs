//! All metrics as Prometheus text.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::cluster_status::{Finding, FindingKind};
use crate::control::admission::Admission;
use crate::metrics::filter_text::render_filter;
use crate::metrics::label::{label, with_label};
use crate::metrics::{Counters, Reason};
use crate::upstream::shown_certificate::CertificateExpiry;
use proxy_wasm_engine::Metric;

/// What the host itself measures.
pub(crate) struct HostMetrics<'a> {
    pub(crate) workers: &'a [Arc<Counters>],
    pub(crate) admission: &'a Admission,
    pub(crate) log_lines_dropped: u64,
    pub(crate) certificates: Vec<CertificateExpiry>,
    /// What a registry's own word on its replicas comes to, for each that is asked. Of
    /// several services each has a name.
    pub(crate) cluster_findings: Vec<(Option<String>, Vec<Finding>)>,
}

/// Everything as Prometheus text, format 0.0.4.
pub(crate) fn render(host: &HostMetrics<'_>, filter: Vec<Metric>) -> String {
    let mut text = render_host(host);
    render_filter(&mut text, filter);
    text
}

fn render_host(host: &HostMetrics<'_>) -> String {
    let HostMetrics {
        workers, admission, ..
    } = host;
    let sum = |count: fn(&Counters) -> &AtomicU64| {
        workers
            .iter()
            .map(|worker| count(worker).load(Relaxed))
            .sum::<u64>()
    };
    let closed = |reason: Reason| {
        workers
            .iter()
            .map(|worker| worker.closed[reason as usize].load(Relaxed))
            .sum::<u64>()
    };
    let accepted = sum(|worker| &worker.accepted);
    let all_closed: u64 = Reason::ALL.iter().map(|&reason| closed(reason)).sum();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value| [(String::new(), value)];
    family(
        "dtr_lb_host_connections_accepted_total",
        "counter",
        "Connections accepted.",
        &one(accepted),
    );
    family(
        "dtr_lb_host_connections_active",
        "gauge",
        "Connections open now.",
        &one(accepted.saturating_sub(all_closed)),
    );
    family(
        "dtr_lb_host_connections_limit",
        "gauge",
        "Connections that may be open at once.",
        &one(admission.limit() as u64),
    );
    family(
        "dtr_lb_host_connections_limit_reached_total",
        "counter",
        "Connections that waited since as many were open as may be.",
        &one(admission.waited() as u64),
    );
    family(
        "dtr_lb_host_connections_closed_total",
        "counter",
        "Connections closed, by reason.",
        &Reason::ALL.map(|reason| (label("reason", reason.as_str()), closed(reason))),
    );
    family(
        "dtr_lb_host_bytes_total",
        "counter",
        "Bytes forwarded, by the side they were sent to.",
        &[
            (label("to", "replica"), sum(|worker| &worker.sent_up)),
            (label("to", "client"), sum(|worker| &worker.sent_down)),
        ],
    );
    family(
        "dtr_lb_host_connect_failures_total",
        "counter",
        "Connect attempts to replicas that failed.",
        &one(sum(|worker| &worker.connect_failures)),
    );
    family(
        "dtr_lb_host_first_flight_resent_total",
        "counter",
        "Times another replica was sent what a client had sent to one that ended before its first byte.",
        &one(sum(|worker| &worker.first_flight_resent)),
    );
    family(
        "dtr_lb_host_accept_errors_total",
        "counter",
        "Connections the system could not hand over.",
        &one(sum(|worker| &worker.accept_errors)),
    );
    family(
        "dtr_lb_host_workers",
        "gauge",
        "Workers, those that only end their connections included.",
        &one(sum(|worker| &worker.alive)),
    );
    family(
        "dtr_lb_host_vm_running",
        "gauge",
        "Workers whose filter runs.",
        &one(sum(|worker| &worker.vm_running)),
    );
    family(
        "dtr_lb_host_vm_failures_total",
        "counter",
        "Times a filter failed and was taken out.",
        &one(sum(|worker| &worker.vm_failures)),
    );
    family(
        "dtr_lb_host_vm_reloads_total",
        "counter",
        "Times a filter was put back after a failure.",
        &one(sum(|worker| &worker.vm_reloads)),
    );
    family(
        "dtr_lb_host_log_lines_dropped_total",
        "counter",
        "Log lines dropped because they could not be written.",
        &one(host.log_lines_dropped),
    );
    let certificates: Vec<_> = (host.certificates.iter())
        .map(|one| {
            let labels = with_label(&label("replica", &one.replica), "check", &one.check);
            // None ends before 1970.
            (labels, u64::try_from(one.not_after).unwrap_or_default())
        })
        .collect();
    family(
        "dtr_lb_host_certificate_expiry_timestamp_seconds",
        "gauge",
        "When the certificate expires that a replica last showed to a check, in Unix seconds.",
        &certificates,
    );
    let findings: Vec<_> = (host.cluster_findings.iter())
        .flat_map(|(service, found)| {
            FindingKind::ALL.map(|kind| {
                let count = found.iter().filter(|finding| finding.kind == kind).count();
                let labels = label("kind", kind.name());
                let labels = match service {
                    None => labels,
                    Some(service) => with_label(&labels, "service", service),
                };
                (labels, count as u64)
            })
        })
        .collect();
    if !findings.is_empty() {
        family(
            "dtr_lb_host_cluster_findings",
            "gauge",
            "What is worth a look in the registry's own status of its replicas, by kind.",
            &findings,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_wasm_engine::Direction;

    #[test]
    fn what_is_open_is_what_was_accepted_and_not_closed() {
        let workers = [Arc::new(Counters::default()), Arc::new(Counters::default())];
        let _open = [workers[0].open(), workers[0].open(), workers[1].open()];
        workers[0].open().close(Reason::Idle);
        drop(workers[1].open());
        workers[0].moved(Direction::Upstream, 10);
        let stale = || Finding {
            kind: FindingKind::Stale,
            about: "a1".to_owned(),
            text: String::new(),
        };
        let mut text = render_host(&HostMetrics {
            workers: &workers,
            admission: &Admission::default(),
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
        });
        text.push('\n');
        for line in [
            "dtr_lb_host_connections_closed_total{reason=\"internal-error\"} 1\n",
            "dtr_lb_host_connections_accepted_total 5\n",
            "dtr_lb_host_connections_active 3\n",
            "dtr_lb_host_connections_closed_total{reason=\"idle\"} 1\n",
            "dtr_lb_host_bytes_total{to=\"client\"} 10\n",
            "dtr_lb_host_log_lines_dropped_total 7\n",
            "dtr_lb_host_certificate_expiry_timestamp_seconds{replica=\"r1\",check=\"ping\"} 1893456000\n",
            "dtr_lb_host_cluster_findings{kind=\"stale\"} 1\n",
            "dtr_lb_host_cluster_findings{kind=\"silent\"} 0\n",
            "dtr_lb_host_cluster_findings{kind=\"stale\",service=\"quay\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}

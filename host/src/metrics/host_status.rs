//! What the host itself measures, as JSON: the body of `GET /host`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use dtr_lb_filter::contract::metric_name::{self, Labels};
use proxy_wasm_engine::Metric;
use serde::Serialize;

use crate::control::lifecycle::HostPhase;
use crate::metrics::Reason;
use crate::metrics::reloads::ReloadsStatus;
use crate::metrics::text::HostMetrics;
use crate::metrics::traffic::BytesTotal;

/// The counters behind `/metrics`, as far as people look at them. Fields may be added.
#[derive(Debug, Serialize)]
pub(crate) struct HostStatus {
    /// Of the program.
    program: &'static str,
    phase: HostPhase,
    #[serde(flatten)]
    reloads: ReloadsStatus,
    connections: ConnectionsStatus,
    listeners: Vec<ListenerStatus>,
    replicas: Vec<ReplicaBytes>,
}

/// The clients' connections, of all listeners.
#[derive(Debug, Serialize)]
struct ConnectionsStatus {
    active: u64,
    limit: usize,
    accepted: u64,
    /// That waited since as many were open as may be.
    waited: usize,
    /// By reason; those that none was closed for are left out.
    closed: BTreeMap<&'static str, u64>,
}

/// One of the service's ports.
#[derive(Debug, Default, Serialize)]
struct ListenerStatus {
    port: u16,
    /// Given to a replica.
    connections: u64,
    /// Given to none, by reason; those that none was refused for are left out.
    refused: BTreeMap<String, u64>,
    #[serde(flatten)]
    bytes: BytesTotal,
}

/// What went to and came from a replica, over all listeners.
#[derive(Debug, Serialize)]
struct ReplicaBytes {
    name: String,
    #[serde(flatten)]
    bytes: BytesTotal,
}

impl HostStatus {
    /// Of what the host and its filters have counted.
    pub(crate) fn of(host: &HostMetrics<'_>, filter: &[Metric], phase: HostPhase) -> HostStatus {
        let counters = &host.workers.counters;
        let closed = Reason::ALL.map(|reason| {
            let closed = counters.closed[reason as usize].load(Relaxed);
            (reason.as_str(), closed)
        });
        let mut replicas: BTreeMap<Arc<str>, BytesTotal> = BTreeMap::new();
        let mut listeners: BTreeMap<u16, ListenerStatus> = BTreeMap::new();
        for ((port, replica), bytes) in &host.workers.traffic.bytes {
            replicas.entry(Arc::clone(replica)).or_default().add(bytes);
            let listener = listeners.entry(*port).or_default();
            listener.port = *port;
            listener.bytes.add(bytes);
        }
        for metric in filter {
            let parsed = metric_name::parse(&metric.name);
            let of_listener = parsed.and_then(|(_, labels)| {
                let listener = listeners.get_mut(&port(&labels)?)?;
                Some((listener, labels))
            });
            match of_listener {
                Some((listener, labels)) => listener.count(&labels, metric.value),
                None => continue,
            }
        }
        HostStatus {
            program: env!("CARGO_PKG_VERSION"),
            phase,
            reloads: host.reloads.status(),
            connections: ConnectionsStatus {
                active: counters.active(),
                limit: host.admission.limit(),
                accepted: counters.accepted.load(Relaxed),
                waited: host.admission.waited(),
                closed: closed.into_iter().filter(|(_, count)| *count > 0).collect(),
            },
            listeners: listeners.into_values().collect(),
            replicas: (replicas.into_iter())
                .map(|(name, bytes)| ReplicaBytes {
                    name: name.to_string(),
                    bytes,
                })
                .collect(),
        }
    }
}

impl ListenerStatus {
    /// Takes in one of the filter's counters: of refusals, when it has a reason.
    fn count(&mut self, labels: &Labels, value: u64) {
        let reason = labels.iter().find(|(label, _)| *label == "reason");
        match reason {
            None => self.connections = value,
            Some((_, reason)) if value > 0 => {
                self.refused.insert(reason.clone(), value);
            }
            Some(_) => {}
        }
    }
}

/// The port of a listener's metric.
fn port(labels: &Labels) -> Option<u16> {
    let label = labels.iter().find(|(label, _)| *label == "listener")?;
    label.1.parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use proxy_wasm_engine::{Direction, MetricKind};
    use serde_json::json;

    use super::*;
    use crate::control::admission::Admission;
    use crate::metrics::{Reloads, TrafficNames, WorkerCounters};

    fn counter(name: &str, value: u64) -> Metric {
        Metric {
            kind: MetricKind::Counter,
            name: name.to_owned(),
            value,
            sum: 0,
            buckets: Vec::new(),
        }
    }

    #[test]
    fn listeners_and_replicas_have_their_sums() {
        let all = WorkerCounters::default();
        let names = Arc::new(TrafficNames::new([80, 443], ["r1", "r2"]));
        let worker = &all.add(1, &names)[0];
        worker
            .open()
            .close(Reason::RefusedByFilter, Duration::from_secs(1));
        let moves = [(443, "r1", 10), (80, "r1", 5), (443, "r2", 1)];
        for (port, replica, bytes) in moves {
            let (listener, replica) = (names.listener(port), names.replica(replica));
            let at = worker.traffic.connected(listener, replica, Duration::ZERO);
            worker.traffic.moved(at, Direction::Upstream, bytes);
        }
        let reloads = Reloads::new();
        let host = HostMetrics {
            workers: all.total(),
            admission: &Admission::default(),
            reloads: &reloads,
            log_lines_dropped: 0,
            certificates: Vec::new(),
            cluster_findings: Vec::new(),
        };
        let filter = [
            counter("dtr_lb.listener.443.connections_total", 3),
            counter("dtr_lb.listener.443.refused_total.all-down", 2),
            counter("dtr_lb.listener.443.refused_total.all-away", 0),
            counter("dtr_lb.listener.8443.connections_total", 9),
            counter("dtr_lb.replica.r1.connections_total", 4),
            counter("other.count", 1),
        ];

        let status =
            serde_json::to_value(HostStatus::of(&host, &filter, HostPhase::Serving)).unwrap();

        let listener = |port, connections, refused, to_client| {
            json!({
                "port": port, "connections": connections, "refused": refused,
                "bytes_to_replica": 0, "bytes_to_client": to_client,
            })
        };
        let expected = [
            listener(80, 0, json!({}), 5),
            listener(443, 3, json!({ "all-down": 2 }), 11),
        ];
        assert_eq!(status["listeners"], json!(expected), "no other port's");
        let replica =
            |name, bytes| json!({ "name": name, "bytes_to_replica": 0, "bytes_to_client": bytes });
        assert_eq!(
            status["replicas"],
            json!([replica("r1", 15), replica("r2", 1)])
        );
        assert_eq!(
            status["connections"]["closed"],
            json!({ "refused-by-filter": 1 })
        );
        assert_eq!(status["last_reload_succeeded"], true);
        assert_eq!(status["phase"], "serving");
    }
}

//! Has the registry say, now and then, how its replicas are: a second witness beside the
//! checks, and never a verdict.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dtr_lb_filter::contract::{CLUSTER_STATUS, VM_ID, shared_key};
use proxy_wasm_engine::Shared;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::cluster_status::{Finding, FindingKind, Witness, ask, findings, report};
use crate::plan::ClusterStatus;
use crate::upstream::cluster::Clusters;

/// What is asked, and where the filter reads what was said.
#[derive(Clone)]
pub(super) struct ClusterWatch {
    pub(super) plan: Arc<ClusterStatus>,
    pub(super) clusters: Arc<Clusters>,
    pub(super) vm_data: Shared,
}

impl ClusterWatch {
    /// Asks for as long as it is polled. Within a `LocalSet`.
    pub(super) async fn run(&self) -> Infallible {
        // A reload finds what was found before it, and logs only what is new.
        let service = self.plan.service.as_deref();
        let mut known = found(&self.vm_data, service).unwrap_or_default();
        loop {
            let witnesses = self.ask_all().await;
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default();
            let unix_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let mut found = findings(&witnesses, unix_s);
            found.truncate(MOST_FINDINGS);
            log_changes(service, &known, &found);
            let mut report = report(&witnesses, &found);
            report["unix_ms"] = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).into();
            share(&self.vm_data, service, report);
            known = found;
            sleep(self.plan.interval).await;
        }
    }

    async fn ask_all(&self) -> Vec<Witness> {
        let mut asking = JoinSet::new();
        let slots = Arc::new(Semaphore::new(MOST_UNDER_WAY));
        let mut witnesses = Vec::new();
        for (number, replica) in self.plan.replicas.iter().enumerate() {
            witnesses.push(Witness::unasked(replica.name.clone(), replica.id.clone()));
            let (watch, cluster) = (self.clone(), replica.cluster.clone());
            let slots = Arc::clone(&slots);
            asking.spawn_local(async move {
                let _slot = slots.acquire().await;
                let to = watch.clusters.only_endpoint(&cluster)?;
                let view = ask(to, &watch.plan.fqdn, &watch.plan.credentials).await;
                Some((number, view))
            });
        }
        while let Some(answered) = asking.join_next().await {
            if let Ok(Some((number, view))) = answered {
                witnesses[number].view = view;
            }
        }
        witnesses
    }
}

/// Has the filter show that a service's replicas are no longer asked.
pub(super) fn forget(vm_data: &Shared, service: Option<&str>) {
    let key = shared_key(CLUSTER_STATUS, service);
    if vm_data.data(VM_ID, key.as_bytes()).is_some() {
        share(vm_data, service, Value::Null);
    }
}

/// What was found last of a service, as the filter is shown it; `None`: its replicas are
/// not asked.
pub(super) fn found(vm_data: &Shared, service: Option<&str>) -> Option<Vec<Finding>> {
    #[derive(Deserialize)]
    struct Report {
        findings: Vec<Finding>,
    }
    let key = shared_key(CLUSTER_STATUS, service);
    let report = vm_data.data(VM_ID, key.as_bytes());
    let report = serde_json::from_slice::<Option<Report>>(&report?)
        .ok()
        .flatten();
    report.map(|report| report.findings)
}

/// Hands the filter a report; one that is too long, without each replica's view.
fn share(vm_data: &Shared, service: Option<&str>, mut report: Value) {
    let mut text = report.to_string();
    if text.len() > LONGEST_REPORT {
        for replica in report["replicas"].as_array_mut().into_iter().flatten() {
            replica["says"] = Value::Null;
        }
        text = report.to_string();
    }
    let key = shared_key(CLUSTER_STATUS, service);
    if !vm_data.set_data(VM_ID, key.as_bytes(), text.as_bytes()) {
        warn!("there is no room for the cluster's status in the filter's shared data");
    }
}

fn log_changes(service: Option<&str>, known: &[Finding], found: &[Finding]) {
    let what = match service {
        None => "cluster status".to_owned(),
        Some(service) => format!("cluster status of {service}"),
    };
    let (was, is) = (keys(known), keys(found));
    let new = found.iter().filter(|one| !was.contains(&one.key()));
    for new in new.clone().take(MOST_LINES) {
        let reason = new.kind.name();
        warn!(target: "balancer", service, reason, "{what}: {}", new.text);
    }
    let more = new.count().saturating_sub(MOST_LINES);
    if more > 0 {
        warn!(target: "balancer", service, "{what}: {more} more lines like these are left out; /status has all");
    }
    let over = known.iter().filter(|one| !is.contains(&one.key()));
    for over in over.clone().take(MOST_LINES) {
        let reason = over.kind.name();
        info!(target: "balancer", service, reason, "{what}: no longer: {}", over.text);
    }
    let more = over.count().saturating_sub(MOST_LINES);
    if more > 0 {
        info!(target: "balancer", service, "{what}: {more} more are over");
    }
}

fn keys(findings: &[Finding]) -> HashSet<(FindingKind, &str)> {
    findings.iter().map(Finding::key).collect()
}

/// No more replicas than this are asked at once.
const MOST_UNDER_WAY: usize = 32;

/// More findings than this are left out.
const MOST_FINDINGS: usize = 1000;

/// As many lines of each level are logged after a round.
const MOST_LINES: usize = 20;

/// In bytes. The filter has it in memory when `/status` is asked for.
const LONGEST_REPORT: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use crate::captured_log::CapturedLog;

    use super::*;

    fn found(count: usize) -> Vec<Finding> {
        let finding = |number: usize| Finding {
            kind: FindingKind::Stale,
            about: number.to_string(),
            text: format!("{number}: old"),
        };
        (0..count).map(finding).collect()
    }

    #[test]
    fn a_cluster_with_a_thousand_findings_does_not_fill_the_log() {
        let (log, _logging) = CapturedLog::start();
        log_changes(None, &[], &found(500));
        log_changes(None, &found(500), &found(500));
        log_changes(None, &found(500), &found(1));
        assert_eq!(log.text().lines().count(), 42, "{}", log.text());
    }

    #[test]
    fn too_long_a_report_is_shared_without_the_replicas_views() {
        let shared = Shared::default();
        let says = "x".repeat(LONGEST_REPORT);
        let replica = serde_json::json!({ "name": "r1", "says": { "a1": { "error": says } } });
        share(
            &shared,
            None,
            serde_json::json!({ "findings": found(1), "replicas": [replica] }),
        );
        let left = shared.data(VM_ID, CLUSTER_STATUS.as_bytes());
        assert!(left.is_some_and(|left| left.len() < 1000));
        assert_eq!(super::found(&shared, None), Some(found(1)));
        assert_eq!(super::found(&shared, Some("other")), None);
        forget(&shared, None);
        assert_eq!(super::found(&shared, None), None);
    }
}

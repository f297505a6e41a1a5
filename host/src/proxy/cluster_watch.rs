//! Has the registry say, now and then, how its replicas are: a second witness beside the
//! checks, and never a verdict.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dtr_lb_filter::contract::{CLUSTER_STATUS, VM_ID};
use proxy_wasm_engine::Shared;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::cluster_status::{Finding, Witness, ask, findings, report};
use crate::plan::ClusterStatus;
use crate::upstream::cluster::Clusters;

/// What is asked, and where the filter reads what was said.
#[derive(Clone)]
pub(super) struct ClusterWatch {
    pub(super) plan: ClusterStatus,
    pub(super) clusters: Arc<Clusters>,
    pub(super) vm_data: Shared,
}

impl ClusterWatch {
    /// Asks for as long as it is polled. Within a `LocalSet`.
    pub(super) async fn run(&self) -> Infallible {
        // A reload finds what was found before it, and logs only what is new.
        let mut known = found(&self.vm_data).unwrap_or_default();
        loop {
            let witnesses = self.ask_all().await;
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default();
            let found = findings(&witnesses, i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
            log_changes(&known, &found);
            let mut report = report(&witnesses, &found);
            report["unix_ms"] = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).into();
            tell(&self.vm_data, &report);
            known = found;
            sleep(self.plan.interval).await;
        }
    }

    async fn ask_all(&self) -> Vec<Witness> {
        let mut asking = JoinSet::new();
        let mut witnesses = Vec::new();
        for (number, replica) in self.plan.replicas.iter().enumerate() {
            witnesses.push(Witness {
                name: replica.name.clone(),
                id: replica.id.clone(),
                ping: None,
                view: Err("it could not be asked".to_owned()),
            });
            let (watch, cluster) = (self.clone(), replica.cluster.clone());
            asking.spawn_local(async move {
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

/// Has the filter show that nobody is asked.
pub(super) fn forget(vm_data: &Shared) {
    if vm_data.data(VM_ID, CLUSTER_STATUS.as_bytes()).is_some() {
        tell(vm_data, &Value::Null);
    }
}

/// What was found last, as the filter is shown it; `None`: nobody is asked.
pub(super) fn found(vm_data: &Shared) -> Option<Vec<Finding>> {
    #[derive(Deserialize)]
    struct Told {
        findings: Vec<Finding>,
    }
    let told = vm_data.data(VM_ID, CLUSTER_STATUS.as_bytes());
    let told = serde_json::from_slice::<Option<Told>>(&told?)
        .ok()
        .flatten();
    told.map(|told| told.findings)
}

fn tell(vm_data: &Shared, report: &Value) {
    let text = report.to_string();
    if !vm_data.set_data(VM_ID, CLUSTER_STATUS.as_bytes(), text.as_bytes()) {
        warn!("there is no room for the cluster's status in the filter's shared data");
    }
}

fn log_changes(known: &[Finding], found: &[Finding]) {
    for new in found {
        if !known.iter().any(|known| known.is_same(new)) {
            warn!(target: "balancer", "cluster status: {}", new.text);
        }
    }
    for old in known {
        if !found.iter().any(|new| new.is_same(old)) {
            info!(target: "balancer", "cluster status: no longer: {}", old.text);
        }
    }
}

//! What is going on, to be shown: the body of `GET /status`.

use super::readiness;
use super::replica_status::ReplicaStatus;
use crate::balancer::Balancer;
use crate::compare::disagreement::Disagreement;
use crate::config::{Policy, Service, WhenAllDown};
use crate::contract::CLUSTER_STATUS;
use crate::history::event::{Event, Events};
use crate::shared::board::{self, EVENTS, Store};
use crate::time::Moment;
use serde::Serialize;

/// Of one registry. Times are Unix milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The version of this shape: 1. Fields may be added without a new one.
    pub version: u32,
    /// Of the program.
    pub program: &'static str,
    /// When this was the status.
    pub now_unix_ms: u64,
    /// Which of several services it is; left out: it is the only registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// The registry's name.
    pub fqdn: String,
    /// How one of several usable replicas is picked.
    pub policy: Policy,
    /// What becomes of new connections when no replica is usable.
    pub when_all_down: WhenAllDown,
    /// Whether enough replicas are usable; the same as `/_ping` says.
    pub healthy: bool,
    /// Why not; empty when healthy.
    pub error: String,
    /// This many replicas have to be usable.
    pub min_healthy: u32,
    /// The clients' connections.
    pub connections: ConnectionsStatus,
    /// Who probes.
    pub lease: LeaseStatus,
    /// The service's ports.
    pub listeners: Vec<ListenerStatus>,
    /// What the replicas disagree about among each other, and with the name.
    pub disagreements: Vec<Disagreement>,
    /// What the registry says of its own replicas, as the standalone host has asked it;
    /// null: it is not asked.
    pub cluster_status: Option<serde_json::Value>,
    /// The replicas, in the operator's order.
    pub replicas: Vec<ReplicaStatus>,
    /// What happened last, oldest first.
    pub events: Vec<Event>,
}

/// Of several services.
#[derive(Clone, Debug, Serialize)]
pub struct ServicesStatus {
    /// As in [`Status`].
    pub version: u32,
    /// Of the program.
    pub program: &'static str,
    /// When this was the status.
    pub now_unix_ms: u64,
    /// Whether any of them has enough usable replicas; the same as `/_ping` says.
    pub healthy: bool,
    /// Why none has; empty when healthy.
    pub error: String,
    /// The clients' connections, of all of them.
    pub connections: ConnectionsStatus,
    /// Each of them, in the operator's order.
    pub services: Vec<Status>,
}

impl ServicesStatus {
    /// What is going on, see [`Status::of`].
    pub fn of(
        balancers: &mut [&mut Balancer],
        store: &mut impl Store,
        now: Moment,
    ) -> ServicesStatus {
        let services: Vec<Status> = balancers
            .iter_mut()
            .map(|balancer| Status::of(balancer, store, now))
            .collect();
        let readiness = readiness::check_any(balancers.iter().map(|one| &**one));
        let connections = services.iter().map(|service| &service.connections);
        ServicesStatus {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION"),
            now_unix_ms: balancers.first().map_or(0, |first| first.unix_ms()),
            healthy: readiness.is_ok(),
            error: readiness.err().unwrap_or_default(),
            connections: ConnectionsStatus {
                active: connections.clone().map(|each| each.active).sum(),
                limit: connections.clone().find_map(|each| each.limit),
            },
            services,
        }
    }
}

/// The clients' connections, over all workers.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionsStatus {
    /// Open with a replica, or on their way to one.
    pub active: u64,
    /// At most this many may be open; `None`: the proxy has no limit, or keeps it to
    /// itself.
    pub limit: Option<u64>,
}

/// Who probes.
#[derive(Clone, Debug, Serialize)]
pub struct LeaseStatus {
    /// Whether the VM that answers is the one that probes.
    pub mine: bool,
    /// Since when the holder has been the holder, as this VM knows it.
    pub held_for_ms: Option<u64>,
    /// Since the holder was last seen to renew the lease.
    pub renewed_ms_ago: Option<u64>,
}

/// One of the service's ports.
#[derive(Clone, Debug, Serialize)]
pub struct ListenerStatus {
    /// The port.
    pub port: u16,
    /// How many replicas can serve it.
    pub usable: usize,
    /// The checks a replica must pass to serve it.
    pub checks: Vec<String>,
}

impl Status {
    /// What is going on, as this VM knows it and the one that probes has left it.
    pub fn of(balancer: &mut Balancer, store: &mut impl Store, now: Moment) -> Status {
        balancer.learn_details(store);
        let store = &mut balancer.scope().within(store);
        let cluster_status = store.read(CLUSTER_STATUS);
        let events: Events = board::read(store, EVENTS).0.unwrap_or_default();
        let balancer = &*balancer;
        let readiness = readiness::check(balancer);
        let (config, pool) = (balancer.config(), balancer.pool());
        let lease = balancer.shared().lease();
        let ms = |since: Moment| now.since(since).as_millis() as u64;
        let check_name = |check: &usize| Some(config.checks.get(*check)?.name.clone());
        let listeners = pool.listeners().iter().map(|listener| ListenerStatus {
            port: listener.port,
            usable: pool.usable(listener),
            checks: listener.checks.iter().filter_map(check_name).collect(),
        });
        let replicas = pool.ring().iter();
        let skews_ms = balancer.inspector().skews_ms();
        Status {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION"),
            now_unix_ms: balancer.unix_ms(),
            service: config.service.clone(),
            fqdn: config.fqdn.clone(),
            policy: config.policy,
            when_all_down: config.when_all_down,
            healthy: readiness.is_ok(),
            error: readiness.err().unwrap_or_default(),
            min_healthy: config.min_healthy,
            connections: ConnectionsStatus {
                active: replicas
                    .clone()
                    .map(|id| u64::from(balancer.active(*id)))
                    .sum(),
                limit: config.max_connections,
            },
            lease: LeaseStatus {
                mine: balancer.is_holder(),
                held_for_ms: lease.map(|lease| ms(lease.since())),
                renewed_ms_ago: lease.map(|lease| ms(lease.seen_at())),
            },
            listeners: listeners.collect(),
            disagreements: balancer.inspector().disagreements(balancer.unix_ms()),
            cluster_status: cluster_status
                .and_then(|left| serde_json::from_slice(&left.value).ok()),
            replicas: replicas
                .filter_map(|id| {
                    let mut skews_ms = skews_ms.iter();
                    let skew_ms = skews_ms.find(|(of, _)| of == id).map(|(_, skew)| *skew);
                    ReplicaStatus::of(balancer, (*id, skew_ms), now)
                })
                .collect(),
            events: events.into_vec(),
        }
    }
}

/// Of the body's format.
const VERSION: u32 = 1;

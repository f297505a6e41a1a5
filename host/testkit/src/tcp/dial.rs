//! Connecting to an upstream, as Envoy's `tcp_proxy` does.

use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::envoy::{CONNECTION_REFUSED, STEERING_KEY, response_flag};
use proxy_wasm_engine::{Direction, Peer, Upstream};

use crate::cluster::{Behaviour, Request};
use crate::simulator::Simulator;
use crate::simulator::event_queue::Event;
use crate::tcp::connection::ConnectionPhase;

impl Simulator {
    /// Connects to the cluster that the filter chose, or to the default one.
    pub(crate) fn dial(&mut self, key: usize) {
        let connection = &self.connections[key];
        let worker = connection.worker;
        let chosen = self.filter_state(worker, connection.context, STEERING_KEY);
        let name = chosen.unwrap_or_else(|| connection.default_cluster.clone());
        let candidates = self.clusters.candidates(&name);
        let connection = &mut self.connections[key];
        connection.phase = ConnectionPhase::Dialling;
        if candidates.is_empty() {
            let note =
                format!("there is no cluster {name:?} to connect to; declare it with .cluster(..)");
            connection.flags |= response_flag::NO_CLUSTER_FOUND;
            self.kit_state.note(worker, note);
            self.close(key, Peer::Local);
            return;
        }
        connection.candidates = candidates;
        self.attempt(key);
    }

    fn attempt(&mut self, key: usize) {
        let now = self.now();
        let connection = &mut self.connections[key];
        let name = connection.candidates.remove(0);
        connection.attempt += 1;
        let attempt = connection.attempt;
        connection.upstream = Some(name.clone());
        let request = Request {
            cluster: name.clone(),
            method: "CONNECT".to_owned(),
            at: now,
            ..Request::default()
        };
        let outcome = self.clusters.connect(&name, &request);
        let takes = match outcome.as_ref().map(|outcome| &outcome.behaviour) {
            None | Some(Behaviour::Refuses) => Duration::ZERO,
            Some(Behaviour::Hangs) => CONNECT_TIMEOUT,
            Some(_) => {
                let delay = outcome.as_ref().map(|outcome| outcome.delay);
                delay.unwrap_or_default().min(CONNECT_TIMEOUT)
            }
        };
        self.connections[key].outcome = outcome;
        let event = Event::Connected {
            connection: key,
            attempt,
        };
        if takes.is_zero() {
            self.connect_attempt_ends(key, attempt);
        } else {
            self.event_queue.put(now + takes, event);
        }
    }

    pub(crate) fn connect_attempt_ends(&mut self, key: usize, attempt: u32) {
        let connection = &mut self.connections[key];
        let current =
            connection.phase == ConnectionPhase::Dialling && connection.attempt == attempt;
        if connection.closed.is_some() || !current {
            return;
        }
        let name = connection.upstream.clone().unwrap_or_default();
        let cluster = connection.outcome.clone();
        let failure = match cluster.as_ref().map(|cluster| &cluster.behaviour) {
            None | Some(Behaviour::Refuses) => Some(Some(CONNECTION_REFUSED)),
            Some(Behaviour::Hangs) => Some(None),
            Some(_) => {
                let delay = cluster.as_ref().map(|cluster| cluster.delay);
                (delay.unwrap_or_default() >= CONNECT_TIMEOUT).then_some(None)
            }
        };
        let worker = connection.worker;
        if let Some(reason) = failure {
            connection.flags |= response_flag::UPSTREAM_CONNECTION_FAILURE;
            if connection.transport_failure.is_none() {
                connection.transport_failure = reason.map(str::to_owned);
            }
            connection.upstream = None;
            let last = connection.candidates.is_empty();
            if last {
                connection.flags |= response_flag::UPSTREAM_RETRY_LIMIT_EXCEEDED;
            }
            let why = reason.unwrap_or("connect timeout");
            self.kit_state
                .note(worker, format!("cluster {name} cannot be reached: {why}"));
            self.update_info(key, None);
            if last {
                self.close(key, Peer::Local);
            } else {
                self.attempt(key);
            }
            return;
        }
        connection.phase = ConnectionPhase::Open;
        let data = std::mem::take(&mut connection.down.approved);
        let end = std::mem::take(&mut connection.down.approved_end);
        self.kit_state.note(worker, format!("connected to {name}"));
        if let Some(cluster) = cluster {
            let upstream = Upstream {
                cluster: name.as_str().into(),
                metadata: cluster.metadata.clone(),
                address: self.clusters.address_of(&name, &cluster),
                local_address: self.local_address(key),
            };
            self.update_info(key, Some(Arc::new(upstream)));
        }
        if !data.is_empty() || end {
            self.arrive(key, Direction::Downstream, &data, end);
        }
        self.feed(key, Direction::Downstream);
        self.feed(key, Direction::Upstream);
    }

    /// Brings the properties that the guest reads up to date.
    pub(crate) fn update_info(&mut self, key: usize, upstream: Option<Arc<Upstream>>) {
        let connection = &self.connections[key];
        let Some(context) = connection.context else {
            return;
        };
        let vm = self.workers[connection.worker].vm.as_mut();
        let Some(info) = vm.and_then(|vm| vm.tcp_mut(context)) else {
            return;
        };
        info.attempts = connection.attempt;
        info.response_flags = connection.flags;
        info.transport_failure = connection.transport_failure.clone();
        if upstream.is_some() {
            info.upstream = upstream;
        }
    }
}

/// How long one connect attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

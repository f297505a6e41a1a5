//! What stands in a running balancer's status.

use std::collections::BTreeSet;

use dtr_lb::config::ConfigFile;
use dtr_lb::survey::Survey;
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::health::verdict::Verdict;

use crate::cli::age::age;
use crate::cli::balancer_status::{BalancerStatus, ReplicaStatus};
use crate::cli::doctor::finding::{Finding, Severity};

/// What it says itself.
pub(super) fn findings(status: &BalancerStatus) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(drain) = status.drain() {
        let text = format!(
            "the balancer is about to end: {drain}; start it again unless another one serves its \
             clients (systemctl start dtr-lb)"
        );
        found.push(Finding::of_balancer(Severity::Error, &[], text));
    }
    for (registry, port) in status.unserved() {
        let text = format!(
            "the balancer has no usable replica for {} on port {port}; correct what the checks \
             say, or return one that was taken out (dtr-lb ready NAME)",
            registry.name()
        );
        found.push(Finding::of_balancer(Severity::Error, &[], text));
    }
    let head = &status.head;
    if found.is_empty() && !head.healthy {
        let text = format!("the balancer is not healthy: {}", head.error);
        found.push(Finding::of_balancer(Severity::Warning, &[], text));
    }
    let connections = &head.connections;
    if let Some(limit) = connections.limit
        && connections.active >= limit
    {
        let text = format!(
            "all {limit} connections are in use, and new clients wait; raise \"max_connections\", \
             or end some (dtr-lb sessions)"
        );
        found.push(Finding::of_balancer(Severity::Error, &[], text));
    }
    let (theirs, ours) = (&*head.program, env!("CARGO_PKG_VERSION"));
    if theirs != ours {
        let text = format!(
            "the balancer is dtr-lb {theirs}, and this program {ours}; restart it after an \
             update, or ask it with its own program"
        );
        found.push(Finding::of_balancer(Severity::Note, &[], text));
    }
    let registries = status.registries.iter();
    let replicas = registries.flat_map(|registry| &registry.replicas);
    found.extend(replicas.filter_map(|replica| out_of_service(replica, head.now_unix_ms)));
    found
}

/// Why a replica that may be well gets no connections.
fn out_of_service(replica: &ReplicaStatus, now_unix_ms: u64) -> Option<Finding> {
    let ReplicaStatus { name, state, .. } = replica;
    let about = [&**name];
    if replica.order != Order::Ready {
        let since = match replica.since_unix_ms {
            Some(since) => format!("for {}", ago(since, now_unix_ms)),
            None => "by the configuration".to_owned(),
        };
        let comment = match replica.comment.is_empty() {
            true => String::new(),
            false => format!(" ({})", replica.comment),
        };
        let text = format!(
            "replica \"{name}\" is in {state} {since}{comment}, and gets no new connections until \
             it is returned: dtr-lb ready {name}"
        );
        return Some(Finding::of_balancer(Severity::Note, &about, text));
    }
    if let Some(ms) = replica.held_for_ms {
        let text = format!(
            "replica \"{name}\" is held back for {} s more: clients' connections to it failed, \
             though it passes its checks; look whether it serves the listeners' ports",
            ms.div_ceil(1000)
        );
        return Some(Finding::of_balancer(Severity::Warning, &about, text));
    }
    (&**state == "full").then(|| {
        let text = format!(
            "replica \"{name}\" has all the connections it may have; raise its \
             \"max_connections\", or add replicas"
        );
        Finding::of_balancer(Severity::Warning, &about, text)
    })
}

/// What it says otherwise than the configuration, and than the replicas do here.
pub(super) fn differences(
    status: &BalancerStatus,
    file: &ConfigFile,
    incomplete: &[String],
    survey: &Survey,
) -> Vec<Finding> {
    let is_of = |name: &str, entry: &String| {
        let rest = name.strip_prefix(entry.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let is_compared = |name: &&str| !incomplete.iter().any(|entry| is_of(name, entry));
    let registries = file.registries().iter();
    let configured = registries.flat_map(|config| &config.replicas);
    let configured = configured.map(|replica| replica.name.as_str());
    let configured: BTreeSet<&str> = configured.filter(is_compared).collect();
    let registries = status.registries.iter();
    let running: Vec<&ReplicaStatus> = registries.flat_map(|registry| &registry.replicas).collect();
    let names = running.iter().map(|replica| &*replica.name);
    let names: BTreeSet<&str> = names.filter(is_compared).collect();
    let mut found = Vec::new();
    let mut only_one_has = |names: Vec<&str>, text: &str| {
        if !names.is_empty() {
            let listed = names.join("\", \"");
            let text = format!("{text}: \"{listed}\"; reload the configuration, or correct it");
            found.push(Finding::of_balancer(Severity::Warning, &names, text));
        }
    };
    only_one_has(
        configured.difference(&names).copied().collect(),
        "the balancer does not know replicas of the configuration",
    );
    only_one_has(
        names.difference(&configured).copied().collect(),
        "the balancer has replicas that the configuration has not",
    );
    let (asked, failing) = (survey.replicas(), survey.failing());
    let seen = running
        .iter()
        .filter(|replica| asked.contains(&*replica.name));
    found.extend(seen.filter_map(|replica| {
        let here = match failing.contains(&*replica.name) {
            true => Verdict::Unhealthy,
            false => Verdict::Healthy,
        };
        seen_otherwise(replica, here, status.head.now_unix_ms)
    }));
    found
}

/// Whether the balancer sees a replica otherwise than it answers `here`.
fn seen_otherwise(replica: &ReplicaStatus, here: Verdict, now_unix_ms: u64) -> Option<Finding> {
    let ReplicaStatus { name, .. } = replica;
    let since = replica.since_unix_ms;
    let since = since.map_or_else(String::new, |since| {
        format!(" for {}", ago(since, now_unix_ms))
    });
    let text = match (&*replica.state, here) {
        ("unhealthy", Verdict::Healthy) => {
            let reason = replica.reason.clone().unwrap_or_default();
            let error = match replica.error.is_empty() {
                true => String::new(),
                false => format!(": {}", replica.error),
            };
            format!(
                "replica \"{name}\" is unhealthy for the balancer{since} ({reason}{error}), and \
                 passes its checks here; it comes back after \"rise\" good answers, or else look \
                 what lies between the two"
            )
        }
        ("healthy", Verdict::Unhealthy) => format!(
            "replica \"{name}\" is healthy for the balancer{since}, and fails a check here; it \
             goes after \"fall\" bad answers, or else look what lies between it and this machine"
        ),
        _ => return None,
    };
    Some(Finding::of_balancer(Severity::Warning, &[name], text))
}

fn ago(since_unix_ms: u64, now_unix_ms: u64) -> String {
    let seconds = now_unix_ms.saturating_sub(since_unix_ms) / 1000;
    age(i64::try_from(seconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;

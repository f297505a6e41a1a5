//! The status as people are shown it.

use std::net::SocketAddr;
use std::time::Duration;

use anstyle::Style;
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::health::verdict::Verdict;

use crate::cli::age::age;
use crate::cli::balancer_status::{
    BalancerStatus, CheckStatus, Connections, RegistryStatus, ReplicaStatus,
};
use crate::cli::table::{Align, Cell, Table};
use crate::cli::terminal::Palette;

/// Where a status is from, and where it is shown.
pub(super) struct Look {
    pub(super) address: SocketAddr,
    /// In characters.
    pub(super) width: usize,
    pub(super) palette: Palette,
}

/// How far a status still holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Freshness<'a> {
    Fresh,
    Stale {
        /// How old it is.
        age: Duration,
        /// Why there is no newer one.
        why: &'a str,
    },
}

impl Look {
    /// A line for the balancer, and a table for each of its registries.
    pub(super) fn lines(&self, status: &BalancerStatus, freshness: Freshness<'_>) -> Vec<String> {
        let mut lines = match freshness {
            Freshness::Fresh => vec![self.painted(self.palette.heading, &self.headline(status))],
            Freshness::Stale { age, why } => vec![
                self.painted(self.palette.bad, &stale(age, why)),
                format!("last seen: {}", self.headline(status)),
            ],
        };
        if let Some(drain) = status.drain() {
            lines.push(self.painted(self.palette.bad, &drain));
        }
        if !status.head.healthy {
            let text = format!("not ready: {}", status.head.error);
            lines.push(self.painted(self.palette.bad, &text));
        }
        for registry in &status.registries {
            lines.push(String::new());
            if registry.service.is_some() {
                let heading = format!(
                    "{} ({}), {}",
                    registry.name(),
                    registry.fqdn,
                    usable(registry)
                );
                lines.push(self.painted(self.palette.heading, &heading));
            }
            let table = self.table(registry, status.head.now_unix_ms, freshness);
            lines.extend(table.lines(self.width));
        }
        lines
    }

    /// What is shown where there has been no answer yet.
    pub(super) fn without_status(&self, age: Duration, why: &str) -> Vec<String> {
        vec![self.painted(self.palette.bad, &stale(age, why))]
    }

    fn headline(&self, status: &BalancerStatus) -> String {
        let Connections { active, limit } = status.head.connections;
        let connections = match limit {
            Some(limit) => format!("{active} of {limit} connections"),
            None => format!("{active} connections"),
        };
        let what = match status.registries.as_slice() {
            [only] if only.service.is_none() => format!("{}, {}", only.fqdn, usable(only)),
            services => format!("{} services", services.len()),
        };
        let program = &status.head.program;
        format!(
            "dtr-lb {program} at {}: {what}, {connections}",
            self.address
        )
    }

    fn table(&self, registry: &RegistryStatus, now_ms: u64, freshness: Freshness<'_>) -> Table {
        let mut table = Table::new()
            .column("name", Align::Left, 12)
            .column("state", Align::Left, 17)
            .column("since", Align::Right, 6)
            .column("sessions", Align::Right, 8)
            .column("weight", Align::Right, 6)
            .column("role", Align::Left, 6)
            .column("last check", Align::Left, 10)
            .column("latency", Align::Right, 7)
            .column("why", Align::Left, 16)
            .column("comment", Align::Left, 16);
        // By the balancer's clock, which need not be ours.
        let now_ms = match freshness {
            Freshness::Fresh => now_ms,
            Freshness::Stale { age, .. } => now_ms.saturating_add(millis(age)),
        };
        let ago = |unix_ms: u64| {
            let seconds = now_ms.saturating_sub(unix_ms) / 1000;
            age(i64::try_from(seconds).unwrap_or(i64::MAX))
        };
        for replica in &registry.replicas {
            let (state, style) = self.state(replica, freshness);
            let last = replica.last_answer();
            table.row([
                Cell::from(replica.name.to_string()),
                Cell::styled(state, style),
                Cell::from(replica.since_unix_ms.map(ago).unwrap_or_default()),
                Cell::from(sessions(replica)),
                Cell::from(replica.weight.to_string()),
                Cell::from(if replica.backup { "backup" } else { "" }.to_owned()),
                Cell::from(last.map_or_else(String::new, |answer| {
                    let what = answer.reason.as_deref().unwrap_or("good");
                    format!("{what} {} ago", ago(answer.unix_ms))
                })),
                Cell::from(
                    last.map(|answer| latency(answer.latency_us))
                        .unwrap_or_default(),
                ),
                Cell::from(why(replica)),
                Cell::from(replica.comment.to_string()),
            ]);
        }
        table
    }

    /// What it is, and how that looks. What is not known any more never looks well.
    fn state(&self, replica: &ReplicaStatus, freshness: Freshness<'_>) -> (String, Style) {
        let is_bad = |check: &CheckStatus| check.verdict == Verdict::Unhealthy;
        match freshness {
            Freshness::Stale { .. } => (format!("? was {}", replica.state), self.palette.stale),
            Freshness::Fresh => {
                let style = match (replica.usable, replica.order) {
                    (true, _) if replica.held_for_ms.is_none() => self.palette.good,
                    (false, Order::Ready) if replica.checks.iter().any(is_bad) => self.palette.bad,
                    _ => self.palette.notable,
                };
                (replica.state.to_string(), style)
            }
        }
    }

    fn painted(&self, style: Style, text: &str) -> String {
        match style.is_plain() {
            true => text.to_owned(),
            false => format!("{style}{text}{style:#}"),
        }
    }
}

fn stale(age: Duration, why: &str) -> String {
    format!("STALE, no answer for {} s: {why}", age.as_secs())
}

/// Which ports a registry has, and how many replicas for them.
fn usable(registry: &RegistryStatus) -> String {
    let all = registry.replicas.len();
    let usable = registry.replicas.iter().filter(|it| it.usable).count();
    let replicas = format!("{usable} of {all} replicas usable");
    let listeners = &registry.listeners;
    if listeners.iter().all(|listener| listener.usable == usable) {
        let ports: Vec<String> = listeners.iter().map(|it| it.port.to_string()).collect();
        let word = if ports.len() == 1 { "port" } else { "ports" };
        return format!("{word} {}, {replicas}", ports.join(" and "));
    }
    let each: Vec<String> = listeners
        .iter()
        .map(|listener| format!("port {}: {}", listener.port, listener.usable))
        .collect();
    format!("{replicas} ({})", each.join(", "))
}

fn sessions(replica: &ReplicaStatus) -> String {
    let active = replica.connections.active;
    match replica.max_connections {
        Some(most) => format!("{active} of {most}"),
        None => active.to_string(),
    }
}

/// Why it is not usable, where its state does not say.
fn why(replica: &ReplicaStatus) -> String {
    if let Some(ms) = replica.held_for_ms {
        return format!("held for {} s more", ms.div_ceil(1000));
    }
    let Some(reason) = &replica.reason else {
        return String::new();
    };
    let component = replica.component.as_ref();
    let component = component.map(|component| format!(" ({component})"));
    let error = match replica.error.is_empty() {
        true => String::new(),
        false => format!(": {}", replica.error),
    };
    format!("{reason}{}{error}", component.unwrap_or_default())
}

fn latency(micros: u32) -> String {
    match micros {
        ..10_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{} ms", micros / 1000),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

//! From what the file says to what is meant: defaults, and what only several
//! fields together can get wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use dtr_lb_filter::config::{OnDown, Policy, Start, WhenAllDown};

use super::chain;
use super::check_spec::Questions;
use super::error::Source;
use super::file::{self, File};
use super::number::BoundedInt;
use super::text::BoundedDuration;
use super::{Admin, Check, Config, ConfigError, Health, Listener, Passive, Replica};
use crate::plan::Host;

/// Checks what no single field tells.
pub(super) fn checked(file: File, source: &Source, folder: &Path) -> Result<Config, ConfigError> {
    let health = health(&file.health, source)?;
    let admin = file.admin.as_ref().map(|admin| Admin {
        bind: admin.bind.0,
        token: admin.token.as_ref().map(|token| token.0.clone()),
    });
    let binds = binds(&file, source)?;
    let (listeners, checks) = Questions {
        general: file.health.ask(),
        ports: binds.iter().map(|(_, port)| *port).collect(),
        source,
        folder,
    }
    .of(file.listeners.as_deref().unwrap_or_default(), &binds)?;
    let replicas = replicas(&file.replicas, &listeners, &checks, source)?;
    let min_healthy = file.min_healthy.map_or(1, BoundedInt::u32);
    if min_healthy as usize > replicas.len() {
        let problem = match replicas.len() {
            1 => "there is only 1 replica; give at most that".to_owned(),
            few => format!("there are only {few} replicas; give at most that"),
        };
        return Err(source.refuse("min_healthy", min_healthy, problem));
    }
    Ok(Config {
        fqdn: file.fqdn.0,
        replicas,
        listeners,
        policy: file.policy.unwrap_or(Policy::LeastConnections),
        when_all_down: file.when_all_down.unwrap_or(WhenAllDown::Refuse),
        on_down: file.on_down.unwrap_or(OnDown::Keep),
        min_healthy,
        slow_start: file.slow_start.map_or(Duration::ZERO, BoundedDuration::get),
        passive: Passive {
            fails: file.passive.fails.map_or(1, BoundedInt::u32),
            window: file
                .passive
                .window
                .map_or(PASSIVE_WINDOW, BoundedDuration::get),
            hold: file.passive.hold.map_or(PASSIVE_HOLD, BoundedDuration::get),
        },
        checks,
        health,
        admin,
        filters: chain::filters(file.filters, source, folder)?,
        connect_timeout: file
            .connect_timeout
            .map_or(CONNECT_TIMEOUT, BoundedDuration::get),
        idle_timeout: file.idle_timeout.map(BoundedDuration::get),
        dns_refresh: file.dns_refresh.map_or(DNS_REFRESH, BoundedDuration::get),
        drain_timeout: file
            .drain_timeout
            .map_or(DRAIN_TIMEOUT, BoundedDuration::get),
    })
}

fn health(file: &file::Health, source: &Source) -> Result<Health, ConfigError> {
    let interval = file.interval.map(BoundedDuration::get);
    let timeout = file.timeout.map(BoundedDuration::get);
    // One of the two alone moves the other's default along.
    let (interval, timeout) = match (interval, timeout) {
        (Some(interval), Some(timeout)) if interval < timeout => {
            let problem = format!(
                "shorter than health.timeout ({}); raise one or lower the other",
                humantime::format_duration(timeout)
            );
            return Err(source.refuse("health.interval", time(interval), problem));
        }
        (Some(interval), Some(timeout)) => (interval, timeout),
        (Some(interval), None) => (interval, interval.min(TIMEOUT)),
        (None, Some(timeout)) => (timeout.max(INTERVAL), timeout),
        (None, None) => (INTERVAL, TIMEOUT),
    };
    let fast_interval = file
        .fast_interval
        .map_or(interval / 2, BoundedDuration::get);
    if fast_interval > interval {
        let problem = format!(
            "longer than health.interval ({}); lower it or raise the other",
            humantime::format_duration(interval)
        );
        return Err(source.refuse("health.fast_interval", time(fast_interval), problem));
    }
    Ok(Health {
        interval,
        fast_interval: fast_interval.max(Duration::from_millis(1)),
        down_interval: file.down_interval.map_or(interval, BoundedDuration::get),
        timeout,
        jitter: file.jitter.map_or(JITTER, |jitter| jitter.0),
        rise: file.rise.map_or(RISE, BoundedInt::u32),
        fall: file.fall.map_or(FALL, BoundedInt::u32),
        start: file.start.unwrap_or(Start::Up),
    })
}

/// Where each listener is bound, and the service's port it serves.
fn binds(file: &File, source: &Source) -> Result<Vec<(SocketAddr, u16)>, ConfigError> {
    let Some(listeners) = &file.listeners else {
        let any = |port| (SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), port);
        return Ok(vec![any(80), any(443)]);
    };
    if listeners.is_empty() {
        let problem = r#"no listener; add one such as {"bind": "0.0.0.0:443"}, or leave the field out for 80 and 443"#;
        return Err(source.refuse("listeners", serde_json::json!([]), problem));
    }
    let mut taken = Vec::new();
    if let Some(admin) = &file.admin {
        taken.push((admin.bind.0, "admin.bind".to_owned()));
    }
    let mut binds = Vec::new();
    for (index, listener) in listeners.iter().enumerate() {
        let field = format!("listeners[{index}].bind");
        let bind = listener.bind.0;
        let port = match listener.port {
            Some(port) => port.u16(),
            None if bind.port() == 0 => {
                let problem = r#"port 0 means any free port, so "port" must say which of the service's ports it serves, such as 443"#;
                return Err(source.refuse(&field, bind.to_string(), problem));
            }
            None => bind.port(),
        };
        if let Some((held, other)) = taken.iter().find(|(held, _)| overlap(*held, bind)) {
            let problem = match *held == bind {
                true => format!("{other} is bound to it already; give each its own"),
                false => format!(
                    "{other} is {held}, and one of the two takes the other in; give each its own port"
                ),
            };
            return Err(source.refuse(&field, bind.to_string(), problem));
        }
        taken.push((bind, field));
        binds.push((bind, port));
    }
    Ok(binds)
}

/// Whether only one of the two can be bound: 0.0.0.0 takes every IPv4 address in,
/// and [::] every IPv6 address.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    let family = one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || any && family)
}

fn replicas(
    file: &[file::Replica],
    listeners: &[Listener],
    checks: &[Check],
    source: &Source,
) -> Result<Vec<Replica>, ConfigError> {
    if file.is_empty() {
        let problem = r#"no replica; add at least one, such as {"address": "10.0.0.11"}"#;
        return Err(source.refuse("replicas", serde_json::json!([]), problem));
    }
    let known: BTreeSet<u16> = listeners
        .iter()
        .map(|listener| listener.port)
        .chain(checks.iter().map(|check| check.port))
        .collect();
    let mut replicas: Vec<Replica> = Vec::new();
    for (index, replica) in file.iter().enumerate() {
        let name = match &replica.name {
            Some(name) => name.0.clone(),
            None => format!("r{}", index + 1),
        };
        let same_name = |other: &Replica| other.name == name;
        if let Some(other) = replicas.iter().position(same_name) {
            let field = format!("replicas[{index}].name");
            let problem = format!("replicas[{other}] has the same name; give each its own");
            return Err(source.refuse(&field, name, problem));
        }
        let ports = replica
            .ports
            .0
            .iter()
            .map(|(port, own)| (port.0, own.u16()));
        let ports: BTreeMap<u16, u16> = ports.collect();
        let unknown = ports.iter().find(|(port, _)| !known.contains(port));
        if let Some((port, own)) = unknown {
            let known: Vec<String> = known.iter().map(u16::to_string).collect();
            let problem = format!(
                "no listener and no check uses port {port}; known: {}",
                known.join(", ")
            );
            return Err(source.refuse(&format!("replicas[{index}].ports.{port}"), *own, problem));
        }
        let host = replica.address.0.clone();
        let twin = |other: &Replica| same_host(&other.host, &host) && other.ports == ports;
        if let Some(other) = replicas.iter().position(twin) {
            let problem = format!(
                "replicas[{other}] has the same address and ports; remove one, or give it its own \"ports\""
            );
            let field = format!("replicas[{index}].address");
            return Err(source.refuse(&field, host_text(&host), problem));
        }
        replicas.push(Replica {
            name,
            host,
            weight: replica.weight.map_or(1, BoundedInt::u32),
            backup: replica.backup,
            max_connections: replica.max_connections.map(BoundedInt::u32),
            ports,
        });
    }
    Ok(replicas)
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// DNS has no upper case.
fn same_host(one: &Host, other: &Host) -> bool {
    match (one, other) {
        (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

fn host_text(host: &Host) -> String {
    match host {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    }
}

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(2);
const JITTER: f64 = 0.1;
const RISE: u32 = 2;
const FALL: u32 = 3;
const PASSIVE_WINDOW: Duration = Duration::from_secs(10);
const PASSIVE_HOLD: Duration = Duration::from_secs(5);
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const DNS_REFRESH: Duration = Duration::from_secs(5);
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

//! What no single field of the file shows; defaults.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dtr_lb_filter::config::{OnDown, Policy, Start, WhenAllDown};

use super::check_builder::CheckBuilder;
use super::cluster_status;
use super::file::{self, File};
use super::replicas::replicas;
use super::warnings;
use super::{Check, Config, Health, Listener, Passive, Replica};
use crate::config::admin::Admin;
use crate::config::defaults::{CONNECT_TIMEOUT, DNS_REFRESH, DRAIN_TIMEOUT, HALF_CLOSE_TIMEOUT};
use crate::config::duration::{self, BoundedDuration};
use crate::config::network;
use crate::config::network_filter::{self, NetworkFilter};
use crate::config::number::{BoundedInt, MaxConnections};
use crate::config::own_listener::OwnListeners;
use crate::config::problems::Problems;
use crate::config::proxy_protocol::TrustedProxies;
use crate::config::source::Source;
use crate::config::takeover_socket;

/// Checks the file, reads what it names, and fills in defaults.
pub(in crate::config) fn validate(mut file: File, problems: &mut Problems) -> Config {
    let filters = network_filter::load(std::mem::take(&mut file.filters), problems);
    let config = config(&file, filters, problems);
    warnings::warn(&file, &config, problems);
    config
}

fn config(file: &File, filters: Vec<NetworkFilter>, problems: &mut Problems) -> Config {
    let health = health(&file.health, problems);
    let admin = file.admin.as_ref().map(|admin| admin.read(problems));
    let state_dir = file.state_dir.as_deref();
    let state_dir = state_dir.map(|folder| self::state_dir(folder, problems));
    let takeover_socket = file.takeover_socket.as_deref();
    let takeover_socket = takeover_socket.map(|path| takeover_socket::read(path, problems));
    let binds = binds(file, problems);
    let (listeners, checks) = CheckBuilder {
        general: file.health.check(),
        ports: binds.iter().map(|(_, port)| *port).collect(),
        problems,
    }
    .build(file.listeners.as_deref().unwrap_or_default(), &binds);
    let replicas = replicas(&file.replicas, (&listeners, &checks), problems);
    refuse_loops(&replicas, (&listeners, &checks), admin.as_ref(), problems);
    let cluster_status = cluster_status::read(file.cluster_status.as_ref(), &checks, problems);
    let trusted_proxies = (file.accept_proxy_from.as_deref()).and_then(|from| {
        Some(TrustedProxies {
            networks: network::read(from, "accept_proxy_from", problems)?,
            timeout: (file.proxy_protocol_timeout)
                .map_or(PROXY_PROTOCOL_TIMEOUT, BoundedDuration::get),
        })
    });
    let allow = file.allow.as_deref();
    let allow = allow.and_then(|given| network::read(given, "allow", problems));
    let deny = file.deny.as_deref();
    let deny = deny.and_then(|given| network::read(given, "deny", problems));
    let min_healthy = file.min_healthy.map_or(1, BoundedInt::u32);
    let is_counted = !replicas.is_empty()
        && replicas.iter().all(|one| one.discover.is_none())
        && !problems.is_refused("replicas");
    if is_counted && min_healthy as usize > replicas.len() {
        let problem = match replicas.len() {
            1 => "there is only 1 replica; give at most that".to_owned(),
            few => format!("there are only {few} replicas; give at most that"),
        };
        problems.refuse("min_healthy", min_healthy, problem);
    }
    Config {
        service: None,
        fqdn: file.fqdn.0.clone(),
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
        compare_interval: file
            .compare_interval
            .map_or(COMPARE_INTERVAL, BoundedDuration::get),
        cluster_status,
        admin,
        state_dir,
        takeover_socket,
        watch: file.watch,
        filters,
        connect_timeout: file
            .connect_timeout
            .map_or(CONNECT_TIMEOUT, BoundedDuration::get),
        idle_timeout: file.idle_timeout.map(BoundedDuration::get),
        resend_first_flight: file.resend_first_flight.unwrap_or(true),
        half_close_timeout: file
            .half_close_timeout
            .map_or(HALF_CLOSE_TIMEOUT, BoundedDuration::get),
        max_connections: file.max_connections.map(MaxConnections::u32),
        trusted_proxies,
        allow,
        deny,
        per_client_max_connections: file.per_client_max_connections.map(MaxConnections::u32),
        dns_refresh: file.dns_refresh.map_or(DNS_REFRESH, BoundedDuration::get),
        nameservers: file.nameservers.iter().map(|one| one.0).collect(),
        drain_delay: file
            .drain_delay
            .map_or(Duration::ZERO, BoundedDuration::get),
        drain_timeout: file
            .drain_timeout
            .map_or(DRAIN_TIMEOUT, BoundedDuration::get),
        warnings: Vec::new(),
        source: problems.source().clone(),
    }
}

/// A folder that is there.
fn state_dir(given: &str, problems: &mut Problems) -> PathBuf {
    let folder = problems.source().folder().join(given);
    if !folder.is_dir() {
        let problem = format!(
            "{} is no folder; make it, for the user that runs dtr-lb to write to",
            folder.display()
        );
        problems.refuse("state_dir", given, problem);
    }
    folder
}

fn health(file: &file::Health, problems: &mut Problems) -> Health {
    let interval = file.interval.map(BoundedDuration::get);
    let timeout = file.timeout.map(BoundedDuration::get);
    // One of the two alone moves the other's default along.
    let (interval, timeout) = match (interval, timeout) {
        (Some(interval), Some(timeout)) if interval < timeout => {
            let problem = format!(
                "shorter than health.timeout ({}); raise one or lower the other",
                duration::text(timeout)
            );
            problems.refuse("health.interval", duration::text(interval), problem);
            (interval, timeout)
        }
        (Some(interval), Some(timeout)) => (interval, timeout),
        (Some(interval), None) => (interval, interval.min(TIMEOUT)),
        (None, Some(timeout)) => (timeout.max(INTERVAL), timeout),
        (None, None) => (INTERVAL, TIMEOUT),
    };
    let fast_interval = file
        .fast_interval
        .map_or(interval / 2, BoundedDuration::get);
    // Which the timeout moves along, too.
    let is_known = !problems.is_any_refused(&["health.interval", "health.timeout"]);
    if is_known && fast_interval > interval {
        let problem = format!(
            "longer than health.interval ({}); lower it or raise the other",
            duration::text(interval)
        );
        problems.refuse(
            "health.fast_interval",
            duration::text(fast_interval),
            problem,
        );
    }
    Health {
        interval,
        fast_interval: fast_interval.max(Duration::from_millis(1)),
        down_interval: file.down_interval.map_or(interval, BoundedDuration::get),
        timeout,
        jitter: file.jitter.map_or(JITTER, |jitter| jitter.0),
        rise: file.rise.map_or(RISE, BoundedInt::u32),
        fall: file.fall.map_or(FALL, BoundedInt::u32),
        start: file.start.unwrap_or(Start::Up),
    }
}

/// No replica's port is one the balancer itself listens on.
fn refuse_loops(
    replicas: &[Replica],
    (listeners, checks): (&[Listener], &[Check]),
    admin: Option<&Admin>,
    problems: &mut Problems,
) {
    // Else they are the defaults, which nobody asked for.
    if problems.is_refused("listeners") {
        return;
    }
    let binds = listeners.iter().map(|listener| listener.bind);
    let own = OwnListeners::new(binds, admin.map(|admin| admin.bind));
    let ports: BTreeSet<u16> = (listeners.iter().map(|listener| listener.port))
        .chain(checks.iter().map(|check| check.port))
        .collect();
    for (index, replica) in replicas.iter().enumerate() {
        let leads =
            |port: &u16| own.problem((&replica.address, replica.port(*port)), problems.source());
        let problem = ports.iter().find_map(leads);
        if let Some(problem) = problem
            && !problems.is_refused_in_part(&format!("replicas[{index}].ports"))
        {
            let field = format!("replicas[{index}].address");
            problems.refuse(&field, replica.address.to_string(), problem);
        }
    }
}

/// Where each listener is bound, and the service's port it serves.
fn binds(file: &File, problems: &mut Problems) -> Vec<(SocketAddr, u16)> {
    let Some(listeners) = &file.listeners else {
        let any = |port| (SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), port);
        return vec![any(80), any(443)];
    };
    if listeners.is_empty() {
        let problem = r#"no listener; add one such as {"bind": "0.0.0.0:443"}, or leave the field out for 80 and 443"#;
        problems.refuse("listeners", serde_json::json!([]), problem);
        problems.mark_refused("listeners".to_owned());
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
                let port = format!("listeners[{index}].port");
                if !problems.is_refused(&port) {
                    problems.refuse(&field, bind.to_string(), any_port(problems.source()));
                    problems.mark_refused(port);
                }
                0
            }
            None => bind.port(),
        };
        if let Some((held, other)) = taken.iter().find(|(held, _)| overlap(*held, bind)) {
            let other = problems.source().field(other);
            let problem = match *held == bind {
                true => format!("{other} is bound to it already; give each its own"),
                false => format!("{other} is {held}, and the two overlap; give each its own port"),
            };
            problems.refuse(&field, bind.to_string(), problem);
        }
        taken.push((bind, field));
        binds.push((bind, port));
    }
    binds
}

fn any_port(source: &Source) -> &'static str {
    source.either(
        r#"port 0 means any free port, so "port" must say which of the service's ports it serves, such as 443"#,
        "port 0 means any free port; say which of the service's ports it serves, such as 127.0.0.1:0=443",
    )
}

/// Whether only one of the two can be bound: 0.0.0.0 includes every IPv4 address,
/// and [::] every IPv6 address.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    let family = one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || any && family)
}

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(2);
const COMPARE_INTERVAL: Duration = Duration::from_secs(60);
/// Longer than a lost segment takes to be sent again.
const PROXY_PROTOCOL_TIMEOUT: Duration = Duration::from_secs(5);
const JITTER: f64 = 0.1;
const RISE: u32 = 2;
const FALL: u32 = 3;
const PASSIVE_WINDOW: Duration = Duration::from_secs(10);
const PASSIVE_HOLD: Duration = Duration::from_secs(5);

//! From what the file says to what is meant: defaults, and what only several
//! fields together can get wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use dtr_lb_filter::config::{BodyCheck, CheckKind, OnDown, Policy, Start, WhenAllDown};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::Source;
use super::file::{self, Ask, File};
use super::value::{Scheme, Span, Target, Whole};
use super::{Admin, Check, Config, ConfigError, Health, Listener, Passive, Replica};
use crate::plan::{Host, Verify};

/// Checks what no single field tells.
pub(super) fn checked(file: File, source: &Source, folder: &Path) -> Result<Config, ConfigError> {
    let health = health(&file.health, source)?;
    let admin = file.admin.as_ref().map(|admin| Admin {
        bind: admin.bind.0,
        token: admin.token.as_ref().map(|token| token.0.clone()),
    });
    let binds = binds(&file, source)?;
    let (listeners, checks) = Checks {
        general: file.health.ask(),
        ports: binds.iter().map(|(_, port)| *port).collect(),
        source,
        folder,
    }
    .of(file.listeners.as_deref().unwrap_or_default(), &binds)?;
    let replicas = replicas(&file.replicas, &listeners, &checks, source)?;
    let min_healthy = file.min_healthy.map_or(1, Whole::u32);
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
        slow_start: file.slow_start.map_or(Duration::ZERO, Span::get),
        passive: Passive {
            fails: file.passive.fails.map_or(1, Whole::u32),
            window: file.passive.window.map_or(PASSIVE_WINDOW, Span::get),
            hold: file.passive.hold.map_or(PASSIVE_HOLD, Span::get),
        },
        checks,
        health,
        admin,
        connect_timeout: file.connect_timeout.map_or(CONNECT_TIMEOUT, Span::get),
        idle_timeout: file.idle_timeout.map(Span::get),
        dns_refresh: file.dns_refresh.map_or(DNS_REFRESH, Span::get),
        drain_timeout: file.drain_timeout.map_or(DRAIN_TIMEOUT, Span::get),
    })
}

fn health(file: &file::Health, source: &Source) -> Result<Health, ConfigError> {
    let interval = file.interval.map(Span::get);
    let timeout = file.timeout.map(Span::get);
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
    let fast_interval = file.fast_interval.map_or(interval / 2, Span::get);
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
        down_interval: file.down_interval.map_or(interval, Span::get),
        timeout,
        jitter: file.jitter.map_or(JITTER, |jitter| jitter.0),
        rise: file.rise.map_or(RISE, Whole::u32),
        fall: file.fall.map_or(FALL, Whole::u32),
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
    let mut taken = BTreeMap::new();
    if let Some(admin) = &file.admin {
        taken.insert(admin.bind.0, "admin.bind".to_owned());
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
        if bind.port() != 0
            && let Some(other) = taken.insert(bind, field.clone())
        {
            let problem = format!("{other} is bound to it already; give each its own");
            return Err(source.refuse(&field, bind.to_string(), problem));
        }
        binds.push((bind, port));
    }
    Ok(binds)
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
        let ports = replica.ports.iter().map(|(port, own)| (port.0, own.u16()));
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
        let twin = |other: &Replica| other.host == host && other.ports == ports;
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
            weight: replica.weight.map_or(1, Whole::u32),
            backup: replica.backup,
            max_connections: replica.max_connections.map(Whole::u32),
            ports,
        });
    }
    Ok(replicas)
}

/// Makes the general check and the listeners' own.
struct Checks<'a> {
    general: Ask,
    /// The service's ports, in the order of the listeners.
    ports: Vec<u16>,
    source: &'a Source,
    folder: &'a Path,
}

impl Checks<'_> {
    fn of(
        &self,
        file: &[file::Listener],
        binds: &[(SocketAddr, u16)],
    ) -> Result<(Vec<Listener>, Vec<Check>), ConfigError> {
        let mut listeners: Vec<Listener> = Vec::new();
        let mut checks: Vec<Check> = Vec::new();
        for (index, (bind, port)) in binds.iter().copied().enumerate() {
            let check = match file
                .get(index)
                .and_then(|listener| listener.health.as_ref())
            {
                Some(own) => {
                    let field = format!("listeners[{index}].health");
                    self.check(format!("ping-{port}"), &self.inherit(own), &field)?
                }
                None => self.check("ping".to_owned(), &self.general, "health")?,
            };
            let sibling = listeners.iter().position(|other| other.port == port);
            if let Some(other) = sibling
                && checks
                    .iter()
                    .find(|made| made.name == listeners[other].check)
                    != Some(&check)
            {
                let problem = format!(
                    "listeners[{other}] serves the same port with another check; give both the same \"health\""
                );
                return Err(self
                    .source
                    .refuse(&format!("listeners[{index}].port"), port, problem));
            }
            listeners.push(Listener {
                bind,
                port,
                check: check.name.clone(),
            });
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
        Ok((listeners, checks))
    }

    /// A listener's own check falls back to the general preset and verification.
    fn inherit(&self, own: &Ask) -> Ask {
        Ask {
            preset: own.preset.or(self.general.preset),
            verify: own.verify.clone().or_else(|| self.general.verify.clone()),
            ..own.clone()
        }
    }

    fn check(&self, name: String, ask: &Ask, field: &str) -> Result<Check, ConfigError> {
        let preset = ask.preset.unwrap_or_default();
        let target = match &ask.target {
            Some(target) => target.clone(),
            None => Target {
                scheme: preset.scheme(),
                port: self.usual_port(preset.scheme()),
                path: None,
            },
        };
        let kind = match target.scheme {
            Scheme::Tcp => {
                self.only_http(ask, field)?;
                CheckKind::Tcp
            }
            scheme => CheckKind::Http {
                scheme: match scheme {
                    Scheme::Https => "https".to_owned(),
                    _ => "http".to_owned(),
                },
                path: target.path.unwrap_or_else(|| preset.path().to_owned()),
                statuses: self
                    .statuses(ask, field)?
                    .unwrap_or_else(|| preset.statuses()),
                headers: ask
                    .headers
                    .iter()
                    .flatten()
                    .map(|(name, value)| (name.0.clone(), value.0.clone()))
                    .collect(),
                body: match &ask.body {
                    Some(body) => Some(BodyCheck {
                        pointer: body.pointer.0.clone(),
                        healthy: body.healthy.clone(),
                    }),
                    None => preset.body(),
                },
            },
        };
        // Read even when it is not used: a wrong path is wrong today.
        let verify = self.verify(ask.verify.as_deref(), field)?;
        Ok(Check {
            name,
            port: target.port,
            tls: (target.scheme == Scheme::Https).then_some(verify),
            kind,
        })
    }

    /// 443 for HTTPS and 80 for HTTP; a TCP check asks a port that is served.
    fn usual_port(&self, scheme: Scheme) -> u16 {
        match scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
            Scheme::Tcp if self.ports.contains(&443) => 443,
            Scheme::Tcp => self.ports.first().copied().unwrap_or(443),
        }
    }

    fn only_http(&self, ask: &Ask, field: &str) -> Result<(), ConfigError> {
        let given = [
            ("statuses", ask.statuses.is_some()),
            ("headers", ask.headers.is_some()),
            ("body", ask.body.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((what, _)) => Err(self.source.refuse_field(
                &format!("{field}.{what}"),
                "a tcp check only opens a connection; remove this, or ask over http or https",
            )),
        }
    }

    fn statuses(&self, ask: &Ask, field: &str) -> Result<Option<Vec<(u16, u16)>>, ConfigError> {
        match &ask.statuses {
            None => Ok(None),
            Some(statuses) if statuses.is_empty() => Err(self.source.refuse(
                &format!("{field}.statuses"),
                serde_json::json!([]),
                "no status would be healthy; list some, such as [200], or leave it out",
            )),
            Some(statuses) => Ok(Some(
                statuses.iter().map(|range| (range.0, range.1)).collect(),
            )),
        }
    }

    fn verify(&self, verify: Option<&str>, field: &str) -> Result<Verify, ConfigError> {
        let text = match verify {
            None | Some("system") => return Ok(Verify::System),
            Some("none") => return Ok(Verify::None),
            Some(text) => text,
        };
        let path = self.folder.join(text);
        let refuse = |reason: String| {
            let problem = format!(
                r#"neither "system" nor "none", and as a file of CA certificates (PEM) it {reason}; correct it"#
            );
            self.source
                .refuse(&format!("{field}.verify"), text, problem)
        };
        let pem = std::fs::read(&path)
            .map_err(|error| refuse(format!("can't be read: {}: {error}", path.display())))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => {
                Err(refuse("holds no certificate".to_owned()))
            }
            Ok(_) => Ok(Verify::CaFile(path)),
            Err(error) => Err(refuse(format!("can't be decoded ({error})"))),
        }
    }
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
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
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const DNS_REFRESH: Duration = Duration::from_secs(5);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

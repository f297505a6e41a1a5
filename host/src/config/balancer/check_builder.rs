//! The checks: of each listener its own, or the general one.

use std::net::SocketAddr;

use dtr_lb_filter::config::{BodyCheck, CheckKind};

use super::check_spec::CheckSpec;
use super::file;
use super::{Check, Listener};
use crate::config::number::MaxConnections;
use crate::config::problems::Problems;
use crate::config::target::{Scheme, Target};
use crate::config::verify::Verify;

/// Makes the general check and the listeners' own.
pub(super) struct CheckBuilder<'a> {
    pub(super) general: CheckSpec,
    /// The service's ports, in the order of the listeners.
    pub(super) ports: Vec<u16>,
    pub(super) problems: &'a mut Problems,
}

/// Whether nothing was refused that says which ports are served and probed.
pub(super) fn ports_are_known(listeners: &[Listener], problems: &Problems) -> bool {
    let own = |index: usize| {
        ["bind", "port", "health.preset", "health.target"]
            .iter()
            .any(|field| problems.is_refused(&format!("listeners[{index}].{field}")))
    };
    let general = ["listeners", "health.preset", "health.target"];
    !problems.is_any_refused(&general) && !(0..listeners.len()).any(own)
}

impl CheckBuilder<'_> {
    /// The listeners, each with the name of its check, and the checks.
    pub(super) fn build(
        mut self,
        file: &[file::Listener],
        binds: &[(SocketAddr, u16)],
    ) -> (Vec<Listener>, Vec<Check>) {
        let mut listeners: Vec<Listener> = Vec::new();
        let mut checks: Vec<Check> = Vec::new();
        // Read even when it is not used, so that a wrong path is refused now.
        let verify = Verify::read(self.general.verify.as_deref(), "health", self.problems);
        let own = |index: usize| {
            file.get(index)
                .and_then(|listener| listener.health.as_ref())
        };
        let general = (0..binds.len()).any(|index| own(index).is_none()).then(|| {
            let general = self.general.clone();
            self.check("ping".to_owned(), &general, "health", verify.clone())
        });
        for (index, (bind, port)) in binds.iter().copied().enumerate() {
            let check = match (own(index), &general) {
                (None, Some(general)) => general.clone(),
                (own, _) => {
                    let field = format!("listeners[{index}].health");
                    let own = self.inherit(own.unwrap_or(&self.general));
                    let verify = match &own.verify {
                        Some(verify) => Verify::read(Some(verify), &field, self.problems),
                        None => verify.clone(),
                    };
                    self.check(format!("ping-{port}"), &own, &field, verify)
                }
            };
            let sibling = listeners.iter().position(|other| other.port == port);
            if let Some(other) = sibling
                && checks
                    .iter()
                    .find(|made| made.name == listeners[other].check)
                    != Some(&check)
                && !self.is_check_refused(index)
                && !self.is_check_refused(other)
            {
                let problem = format!(
                    "listeners[{other}] serves the same port with another check; give both the same \"health\""
                );
                let field = format!("listeners[{index}].port");
                self.problems.refuse(&field, port, problem);
            }
            let proxy_protocol = file.get(index).and_then(|own| own.proxy_protocol);
            if let Some(other) = sibling
                && listeners[other].proxy_protocol != proxy_protocol
                && !self
                    .problems
                    .is_refused(&format!("listeners[{index}].port"))
            {
                let problem = format!(
                    "listeners[{other}] serves the same port with another \"proxy_protocol\"; give both the same, or leave both without"
                );
                let field = format!("listeners[{index}].port");
                self.problems.refuse(&field, port, problem);
            }
            listeners.push(Listener {
                bind,
                port,
                proxy_protocol,
                max_connections: (file.get(index))
                    .and_then(|listener| listener.max_connections)
                    .map(MaxConnections::u32),
                check: check.name.clone(),
            });
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
        (listeners, checks)
    }

    /// Whether a part of a listener's check was refused, or the port it is for.
    fn is_check_refused(&self, index: usize) -> bool {
        let field = |field: &str| format!("listeners[{index}].{field}");
        self.problems.is_refused_in_part("health")
            || self.problems.is_refused_in_part(&field("health"))
            || self.problems.is_refused(&field("bind"))
            || self.problems.is_refused(&field("port"))
    }

    /// A listener's own check falls back to the general preset.
    fn inherit(&self, own: &CheckSpec) -> CheckSpec {
        CheckSpec {
            preset: own.preset.or(self.general.preset),
            ..own.clone()
        }
    }

    fn check(&mut self, name: String, spec: &CheckSpec, field: &str, verify: Verify) -> Check {
        let preset = spec.preset.unwrap_or_default();
        let target = match &spec.target {
            Some(target) => target.clone(),
            None => Target {
                scheme: preset.scheme(),
                port: self.default_port(preset.scheme()),
                path: None,
            },
        };
        let kind = match target.scheme {
            Scheme::Tcp => {
                self.only_http(spec, field);
                CheckKind::Tcp
            }
            scheme => CheckKind::Http {
                scheme: match scheme {
                    Scheme::Https => "https".to_owned(),
                    _ => "http".to_owned(),
                },
                path: target.path.unwrap_or_else(|| preset.path().to_owned()),
                statuses: self
                    .statuses(spec, field)
                    .unwrap_or_else(|| preset.statuses()),
                headers: spec
                    .headers
                    .iter()
                    .flat_map(|headers| &headers.0)
                    .map(|(name, value)| (name.0.clone(), value.0.clone()))
                    .collect(),
                body: match &spec.body {
                    Some(body) => Some(BodyCheck {
                        pointer: body.pointer.0.clone(),
                        healthy: body.healthy.clone(),
                    }),
                    None => preset.body(),
                },
            },
        };
        Check {
            name,
            port: target.port,
            login_path: preset.login_path(),
            tls: (target.scheme == Scheme::Https).then_some(verify),
            kind,
        }
    }

    /// 443 for HTTPS and 80 for HTTP; a TCP check probes a port that is served.
    fn default_port(&self, scheme: Scheme) -> u16 {
        match scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
            Scheme::Tcp if self.ports.contains(&443) => 443,
            Scheme::Tcp => self.ports.first().copied().unwrap_or(443),
        }
    }

    fn only_http(&mut self, spec: &CheckSpec, field: &str) {
        let scheme = ["preset", "target"].map(|name| format!("{field}.{name}"));
        if scheme.iter().any(|field| self.problems.is_refused(field))
            || self.problems.is_refused("health.preset")
        {
            return;
        }
        let given = [
            ("statuses", spec.statuses.is_some()),
            ("headers", spec.headers.is_some()),
            ("body", spec.body.is_some()),
        ];
        for (what, _) in given.into_iter().filter(|(_, given)| *given) {
            self.problems.refuse_field(
                &format!("{field}.{what}"),
                "a tcp check only opens a connection; remove this, or check over http or https",
            );
        }
    }

    fn statuses(&mut self, spec: &CheckSpec, field: &str) -> Option<Vec<(u16, u16)>> {
        let statuses = spec.statuses.as_ref()?;
        if statuses.is_empty() {
            self.problems.refuse(
                &format!("{field}.statuses"),
                serde_json::json!([]),
                "no status would be healthy; list some, such as [200], or leave it out",
            );
        }
        Some(statuses.iter().map(|range| (range.0, range.1)).collect())
    }
}

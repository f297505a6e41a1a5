//! The checks: of each listener its own, or the general one.

use std::net::SocketAddr;

use dtr_lb_filter::config::{BodyCheck, CheckKind};

use super::check_spec::CheckSpec;
use super::file;
use super::{Check, Listener};
use crate::config::error::ConfigError;
use crate::config::number::MaxConnections;
use crate::config::source::Source;
use crate::config::target::{Scheme, Target};
use crate::config::verify::Verify;

/// Makes the general check and the listeners' own.
pub(super) struct CheckBuilder<'a> {
    pub(super) general: CheckSpec,
    /// The service's ports, in the order of the listeners.
    pub(super) ports: Vec<u16>,
    pub(super) source: &'a Source,
}

impl CheckBuilder<'_> {
    /// The listeners, each with the name of its check, and the checks.
    pub(super) fn build(
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
                max_connections: (file.get(index))
                    .and_then(|listener| listener.max_connections)
                    .map(MaxConnections::u32),
                check: check.name.clone(),
            });
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
        Ok((listeners, checks))
    }

    /// A listener's own check falls back to the general preset and verification.
    fn inherit(&self, own: &CheckSpec) -> CheckSpec {
        CheckSpec {
            preset: own.preset.or(self.general.preset),
            verify: own.verify.clone().or_else(|| self.general.verify.clone()),
            ..own.clone()
        }
    }

    fn check(&self, name: String, spec: &CheckSpec, field: &str) -> Result<Check, ConfigError> {
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
                self.only_http(spec, field)?;
                CheckKind::Tcp
            }
            scheme => CheckKind::Http {
                scheme: match scheme {
                    Scheme::Https => "https".to_owned(),
                    _ => "http".to_owned(),
                },
                path: target.path.unwrap_or_else(|| preset.path().to_owned()),
                statuses: self
                    .statuses(spec, field)?
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
        // Read even when it is not used, so that a wrong path is refused now.
        let verify = Verify::read(spec.verify.as_deref(), field, self.source)?;
        Ok(Check {
            name,
            port: target.port,
            login_path: preset.login_path(),
            tls: (target.scheme == Scheme::Https).then_some(verify),
            kind,
        })
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

    fn only_http(&self, spec: &CheckSpec, field: &str) -> Result<(), ConfigError> {
        let given = [
            ("statuses", spec.statuses.is_some()),
            ("headers", spec.headers.is_some()),
            ("body", spec.body.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((what, _)) => Err(self.source.refuse_field(
                &format!("{field}.{what}"),
                "a tcp check only opens a connection; remove this, or check over http or https",
            )),
        }
    }

    fn statuses(
        &self,
        spec: &CheckSpec,
        field: &str,
    ) -> Result<Option<Vec<(u16, u16)>>, ConfigError> {
        match &spec.statuses {
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
}

//! `dtr-lb check`: whether a configuration is valid, and a summary of it.

use clap::Args;
use dtr_lb::config::{self, Chain, Config, ConfigFile};
use dtr_lb::plan::Plan;
use dtr_lb::{FILTER, rehearse};
use dtr_lb_filter::config::CheckKind;

use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::output::print;
use super::{probe, probe_report};

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    config_args: ConfigArgs,
    /// Also load and start each filter, as `run` would, without listening.
    #[arg(long)]
    load: bool,
    /// Also ask every replica once, as `run` would, and compare what they say.
    #[arg(long)]
    probe: bool,
}

impl Check {
    /// Checks the configuration and prints a summary.
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = self.config_args.read()?;
        let mut report = match &file {
            ConfigFile::Balancer(config) => summary(config),
            ConfigFile::Chain(chain) => chain_summary(chain),
            _ => String::new(),
        };
        if self.load {
            let rehearsals = rehearse(&Plan::of_file(&file), FILTER);
            let lines: Vec<String> = rehearsals.iter().map(ToString::to_string).collect();
            if rehearsals.iter().any(|one| one.outcome.is_err()) {
                return Err(Failure::Usage(anyhow::anyhow!(lines.join("\n    "))));
            }
            for line in lines {
                report.push_str(&format!("\n    {line}"));
            }
        }
        if !self.probe {
            return print(report);
        }
        let survey = probe::probe(&file)?;
        print(format!("{report}\n\n{}", probe_report::text(&survey)))?;
        probe::judge(&survey)
    }
}

/// The listeners and filters of a chain.
fn chain_summary(chain: &Chain) -> String {
    let listeners: Vec<String> = (chain.listeners.iter())
        .map(|one| format!("{} for {}", one.bind, one.cluster))
        .collect();
    let filters: Vec<&str> = chain.filters.iter().map(|one| one.name.as_str()).collect();
    let filters = match filters.len() {
        0 => "no filter".to_owned(),
        1 => format!("1 filter: {}", filters.join(", ")),
        count => format!("{count} filters: {}", filters.join(", ")),
    };
    format!("ok: listens on {}\n    {filters}", listeners.join(", "))
}

/// The listeners, replicas and probes of a balancer.
fn summary(config: &Config) -> String {
    let listeners: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| match listener.bind.port() == listener.port {
            true => listener.bind.to_string(),
            false => format!("{} (port {})", listener.bind, listener.port),
        })
        .collect();
    let replicas: Vec<&str> = config
        .replicas
        .iter()
        .map(|replica| replica.name.as_str())
        .collect();
    let checks: Vec<String> = config.checks.iter().map(target).collect();
    format!(
        "ok: {} listens on {}\n    {} {}: {}\n    probes {} every {}",
        config.fqdn,
        listeners.join(", "),
        replicas.len(),
        match replicas.len() {
            1 => "replica",
            _ => "replicas",
        },
        replicas.join(", "),
        checks.join(" and "),
        humantime::format_duration(config.health.interval),
    )
}

fn target(check: &config::Check) -> String {
    match &check.kind {
        CheckKind::Http { scheme, path, .. } => format!("{scheme}:{}{path}", check.port),
        CheckKind::Tcp => format!("tcp:{}", check.port),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn the_summary_names_listeners_replicas_and_probes() {
        let text = r#"{ "fqdn": "dtr.example.com",
            "replicas": [{ "address": "10.0.0.1" }, { "address": "10.0.0.2" }],
            "listeners": [{ "bind": "127.0.0.1:8443", "port": 443 }] }"#;
        let summary = summary(&Config::parse(text, "lb.json").unwrap());
        assert_eq!(
            summary,
            "ok: dtr.example.com listens on 127.0.0.1:8443 (port 443)\n    \
             2 replicas: r1, r2\n    probes https:443/_ping every 2s"
        );
    }
}

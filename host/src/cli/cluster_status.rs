//! `dtr-lb cluster-status`: what each replica of the registry says of all, side by side.

mod table;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use clap::Args;
use dtr_lb::cluster_status::{Finding, Witness, findings, report, unasked};
use dtr_lb::config::Config;
use dtr_lb::survey::{SurveyOptions, cluster_views};

use super::discover;
use super::failure::Failure;
use super::log::Log;
use super::output::print;
use super::registry_args::RegistryArgs;
use super::registry_login::Login;

#[derive(Debug, Args)]
pub(crate) struct ClusterStatus {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Print one JSON object; docs/health.md describes it.
    #[arg(long)]
    json: bool,
}

impl ClusterStatus {
    /// Asks every replica; fails when there is something to look at.
    pub(super) fn run(self, log: &Log) -> Result<(), Failure> {
        let answered = self.ask(log);
        if let Err(failure) = &answered
            && self.json
        {
            print(unasked(&failure.to_string()))?;
        }
        let Views {
            witnesses,
            found,
            now_unix_s,
        } = answered?;
        match self.json {
            true => print(report(&witnesses, &found))?,
            false => print(table::text(&witnesses, &found, now_unix_s))?,
        }
        match found.len() {
            0 => Ok(()),
            1 => Err(Failure::Runtime(anyhow!("1 thing is worth a look"))),
            count => Err(Failure::Runtime(anyhow!("{count} things are worth a look"))),
        }
    }

    /// Asks the replicas of the registry that is meant.
    fn ask(&self, log: &Log) -> Result<Views, Failure> {
        let found = discover::once(self.registry.config_args.read()?)?;
        for warning in found.unanswered.iter().chain(&found.warnings) {
            log.print(&format!("warning: {warning}"));
        }
        let config = self.registry.service.registry(&found.file)?;
        let Some(login) = self.registry.login.of(config)? else {
            return Err(usage(
                "say who asks, with --user and --password-file, or with \"cluster_status\" in \
                 the configuration",
            ));
        };
        if let Some(warning) = &login.warning {
            log.print(&format!("warning: {warning}"));
        }
        ask(config, &login)
    }
}

/// What replicas say, what is worth a look, and when that was.
pub(super) struct Views {
    witnesses: Vec<Witness>,
    pub(super) found: Vec<Finding>,
    now_unix_s: i64,
}

/// Asks every replica of a registry.
///
/// # Errors
/// A file of the configuration can't be read; no runtime.
pub(super) fn ask(config: &Config, login: &Login<'_>) -> Result<Views, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let options = SurveyOptions::default();
    let asking = cluster_views(config, login.check, &login.credentials, &options);
    let asked = runtime.block_on(asking);
    // A look-up of a name may block a thread for as long as the resolver waits.
    runtime.shutdown_background();
    let witnesses = asked.map_err(|error| Failure::Usage(error.into()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_unix_s = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let found = findings(&witnesses, now_unix_s);
    Ok(Views {
        witnesses,
        found,
        now_unix_s,
    })
}

fn usage(problem: impl std::fmt::Display) -> Failure {
    Failure::Usage(anyhow!("{problem}"))
}

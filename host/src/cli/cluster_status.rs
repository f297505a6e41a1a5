//! `dtr-lb cluster-status`: what each replica of the registry says of all, side by side.

mod table;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use clap::Args;
use dtr_lb::cluster_status::{Credentials, Finding, Witness, findings, report, unasked};
use dtr_lb::config::{Config, ConfigFile, Trust};
use dtr_lb::survey::{SurveyOptions, cluster_views};

use super::config_args::ConfigArgs;
use super::discover;
use super::failure::Failure;
use super::log::Log;
use super::output::print;

#[derive(Debug, Args)]
pub(crate) struct ClusterStatus {
    #[command(flatten)]
    config_args: ConfigArgs,
    /// Which of several services is asked, by its name.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// An administrator of the registry [default: that of "cluster_status" in FILE].
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// A file whose only line is the password; it stands nowhere else.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Send the password also where nobody has verified who answers.
    #[arg(long)]
    insecure: bool,
    /// Print one JSON object; host/README.md describes it.
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
        let (witnesses, found, now) = answered?;
        match self.json {
            true => print(report(&witnesses, &found))?,
            false => print(table::text(&witnesses, &found, now))?,
        }
        match found.len() {
            0 => Ok(()),
            1 => Err(Failure::Runtime(anyhow!("1 thing is worth a look"))),
            count => Err(Failure::Runtime(anyhow!("{count} things are worth a look"))),
        }
    }

    /// The registry that is asked.
    fn registry<'a>(&self, file: &'a ConfigFile) -> Result<&'a Config, Failure> {
        let registries = file.registries();
        let names: Vec<&str> = registries.iter().filter_map(Config::service_name).collect();
        let is_it = |config: &&Config| config.service_name() == self.service.as_deref();
        match (registries, &self.service) {
            ([], _) => Err(usage(
                "a chain of filters has no replicas; give the configuration of a balancer",
            )),
            ([only], None) => Ok(only),
            (_, None) => Err(usage(format!(
                "there are several services; say which with --service: {}",
                names.join(", ")
            ))),
            (all, Some(service)) => all
                .iter()
                .find(is_it)
                .ok_or_else(|| match names.as_slice() {
                    [] => usage("the configuration has one registry; leave --service out"),
                    names => usage(format!(
                        "--service {service}: there is no such service; known: {}",
                        names.join(", ")
                    )),
                }),
        }
    }

    /// What replicas say, what is worth a look, and when that was, in Unix seconds.
    fn ask(&self, log: &Log) -> Result<(Vec<Witness>, Vec<Finding>, i64), Failure> {
        let (file, warnings) = discover::once(self.config_args.read()?)?;
        for warning in warnings {
            log.print(&format!("warning: {warning}"));
        }
        let config = self.registry(&file)?;
        let configured = config.cluster_status.as_ref();
        let credentials = match (&self.user, &self.password_file, configured) {
            (Some(user), Some(file), _) => {
                if let Some(problem) = dtr_lb::exposure(file) {
                    let file = file.display();
                    log.print(&format!("warning: --password-file is {file}; {problem}"));
                }
                Credentials::read(user, file).map_err(usage)?
            }
            (_, _, Some(configured)) => configured.credentials.clone(),
            _ => {
                return Err(usage(
                    "say who asks, with --user and --password-file, or with \"cluster_status\" in \
                     the configuration",
                ));
            }
        };
        let trust = match (self.insecure, configured) {
            (true, _) => Trust::Anybody,
            (false, Some(configured)) => configured.trust,
            (false, None) => Trust::Verified,
        };
        let check = config
            .check_for_password(trust)
            .map_err(|problem| usage(problem.replace("with \"insecure\"", "with --insecure")))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let options = SurveyOptions::default();
        let asked = runtime.block_on(cluster_views(config, check, &credentials, &options));
        // A look-up of a name may block a thread for as long as the resolver waits.
        runtime.shutdown_background();
        let witnesses = asked.map_err(|error| Failure::Usage(error.into()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
        let found = findings(&witnesses, now);
        Ok((witnesses, found, now))
    }
}

fn usage(problem: impl std::fmt::Display) -> Failure {
    Failure::Usage(anyhow!("{problem}"))
}

//! `dtr-lb doctor`: all that can be found out of a registry and its balancer, the most
//! urgent first.

mod balancer;
mod cluster;
mod configuration;
mod finding;
mod replicas;
mod report;
mod uploads;

use anyhow::anyhow;
use clap::Args;
use dtr_lb::config::{Config, ConfigFile, FileAdmin, Needed, Trust};
use dtr_lb::survey::UploadTest;
use dtr_lb::upload_test::Repository;
use serde_json::json;

use super::check::{look_up, probe};
use super::cluster_status;
use super::discover;
use super::failure::Failure;
use super::output::print;
use super::registry_args::RegistryArgs;
use balancer::Balancer;
use report::{Report, Strictness};

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Also begin an empty upload to this repository at each replica, ask the others for it,
    /// and delete it: --user has to be one who may push there.
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<Repository>,
    /// Take warnings for errors.
    #[arg(long)]
    strict: bool,
    /// Print one JSON object; docs/doctor.md describes it.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Looks at everything and prints what is wrong; fails when something is.
    pub(super) fn run(self) -> Result<(), Failure> {
        let examined = self.examine();
        if let Err(failure) = &examined
            && self.json
        {
            print(json!({ "ok": false, "error": failure.to_string() }))?;
        }
        let report = examined?;
        match self.json {
            true => report.print_json(),
            false => report.print(),
        }
    }

    /// # Errors
    /// The arguments do not fit the configuration, or this machine can't ask.
    fn examine(&self) -> Result<Report, Failure> {
        let strictness = match self.strict {
            true => Strictness::WarningsAreErrors,
            false => Strictness::Lenient,
        };
        let mut report = Report::new(self.registry.config_args.name(), strictness);
        match self.registry.config_args.read() {
            Ok(file) => self.look_at(file, &mut report)?,
            Err(errors) => {
                report.refuse(&errors);
                self.ask_balancer(&mut report)?;
            }
        }
        Ok(report)
    }

    /// Of a configuration that is wrong, which the running balancer has not: it goes on with
    /// an earlier one.
    fn ask_balancer(&self, report: &mut Report) -> Result<(), Failure> {
        let file = self.registry.config_args.file();
        // What is wrong with its admin is reported already.
        let admin = file.and_then(|file| FileAdmin::load(file, Needed::Access).ok());
        match admin {
            Some(admin) => self.report_balancer(&Balancer::look(admin)?, report),
            None => report.left_out("a running balancer: nobody knows where"),
        }
        Ok(())
    }

    fn look_at(&self, file: ConfigFile, report: &mut Report) -> Result<(), Failure> {
        let found = discover::once(file)?;
        let file = found.file;
        report.extend(configuration::unanswered(found.unanswered));
        let warnings = file.warnings().iter().cloned().chain(found.warnings);
        report.extend(configuration::warnings(warnings.chain(look_up(&file))));
        report.looked_at("the configuration".to_owned());
        let balancer = Balancer::look(FileAdmin::of(&file))?;
        let registries = file.registries().iter();
        let known: Vec<Config> = registries.filter_map(Config::with_known_replicas).collect();
        if file.registries().is_empty() {
            report.left_out("replicas: a chain of filters has none");
        } else if known.is_empty() {
            report.left_out("replicas: no name leads to one");
        } else {
            let survey = probe(&known)?;
            report.looked_at(match survey.replicas().len() {
                1 => "1 replica".to_owned(),
                count => format!("{count} replicas"),
            });
            report.extend(balancer.differences(&file, &found.incomplete, &survey));
            report.extend(replicas::findings(&survey, &balancer.taken_out()));
        }
        self.report_balancer(&balancer, report);
        self.ask_registry(&file, report)?;
        match &self.repository {
            Some(repository) => self.test_uploads(repository, &file, report),
            None => {
                report.left_out("uploads: give --repository, --user and --password-file");
                Ok(())
            }
        }
    }

    fn report_balancer(&self, balancer: &Balancer, report: &mut Report) {
        report.extend(balancer.findings(self.registry.config_args.file()));
        match balancer.server() {
            Ok(server) => report.looked_at(format!("the balancer at {server}")),
            Err(why) => report.left_out(&format!("a running balancer: {why}")),
        }
    }

    /// What the registry says of its own replicas.
    fn ask_registry(&self, file: &ConfigFile, report: &mut Report) -> Result<(), Failure> {
        let asked: Vec<&Config> =
            match self.registry.login.is_given() || self.registry.service.is_given() {
                true => vec![self.registry.service.registry(file)?],
                false => file.registries().iter().collect(),
            };
        let (mut is_asked, mut has_none) = (false, false);
        for config in asked {
            let Some(login) = self.registry.login.of(config)? else {
                continue;
            };
            report.extend(login.warning.as_deref().map(configuration::exposed));
            let Some(config) = &config.with_known_replicas() else {
                has_none = true;
                continue;
            };
            let views = cluster_status::ask(config, &login)?;
            report.extend(cluster::findings(config, &views.found));
            is_asked = true;
        }
        match (is_asked, has_none) {
            (true, _) => report.looked_at("the cluster status".to_owned()),
            (false, true) => report.left_out("the cluster status: no name leads to a replica"),
            (false, false) => {
                report.left_out("the cluster status: give --user and --password-file");
            }
        }
        Ok(())
    }

    /// Whether replicas go on with each other's uploads.
    fn test_uploads(
        &self,
        repository: &Repository,
        file: &ConfigFile,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let config = self.registry.service.registry(file)?;
        let Some(config) = &config.with_known_replicas() else {
            report.left_out("uploads: no name leads to a replica");
            return Ok(());
        };
        let (credentials, through) = match self.registry.login.of(config)? {
            Some(login) => (Some(login.credentials), login.check),
            // Without a password, it does not matter who answers.
            None => (
                None,
                config.check_for_password(Trust::Anybody).map_err(usage)?,
            ),
        };
        let found = uploads::test(config, |stop| UploadTest {
            repository: repository.clone(),
            credentials,
            through: through.clone(),
            stop,
        })?;
        report.extend(found);
        report.looked_at(format!("uploads to {repository}"));
        Ok(())
    }
}

fn usage(problem: impl std::fmt::Display) -> Failure {
    Failure::Usage(anyhow!("{problem}"))
}

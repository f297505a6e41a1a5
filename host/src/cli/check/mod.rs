//! `dtr-lb check`: whether a configuration is valid, and a summary of it.

mod failing;
mod names;
mod probe;
mod probe_report;
mod report;
mod summary;

use std::path::PathBuf;

use clap::Args;
use dtr_lb::config::ConfigFile;
use dtr_lb::plan::Plan;
use dtr_lb::{FILTER, rehearse};

use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::log::Log;
pub(super) use failing::Failing;
pub(super) use names::look_up;
pub(super) use probe::probe;
use report::{Report, Strictness};

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
    /// Take warnings for errors.
    #[arg(long)]
    strict: bool,
    /// Print one JSON object; docs/check.md describes it.
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Checks the configuration and prints a summary, or what is wrong with it.
    pub(super) fn run(self, log: &Log, module_cache: Option<PathBuf>) -> Result<(), Failure> {
        let report = self.report(module_cache)?;
        match self.json {
            true => report.print_json(),
            false => report.print(log),
        }
    }

    /// # Errors
    /// The replicas are to be asked, and this machine can't.
    fn report(&self, module_cache: Option<PathBuf>) -> Result<Report, Failure> {
        let strictness = match self.strict {
            true => Strictness::WarningsAreErrors,
            false => Strictness::Lenient,
        };
        let mut report = Report::new(self.config_args.name(), strictness);
        match self.config_args.read() {
            Ok(file) => {
                let file = self.discover(file, &mut report)?;
                self.examine(&file, module_cache, &mut report);
                // Of a configuration that is wrong, nobody knows whom it means.
                if self.probe && report.is_right() {
                    match probe::probe(file.registries()) {
                        Ok(survey) => report.survey(survey),
                        Err(failure @ Failure::Usage(_)) => report.error(failure.to_string()),
                        Err(other) => return Err(other),
                    }
                }
            }
            Err(errors) => report.refuse(&errors),
        }
        Ok(report)
    }

    /// With the replicas that DNS has now for names that stand for many.
    fn discover(&self, file: ConfigFile, report: &mut Report) -> Result<ConfigFile, Failure> {
        let found = super::discover::once(file)?;
        for warning in found.unanswered.into_iter().chain(found.warnings) {
            report.warn(warning);
        }
        Ok(found.file)
    }

    /// Adds what takes more than reading a configuration.
    fn examine(&self, file: &ConfigFile, module_cache: Option<PathBuf>, report: &mut Report) {
        report.summarize(file);
        for warning in file.warnings().iter().cloned().chain(names::look_up(file)) {
            report.warn(warning);
        }
        if self.load {
            for rehearsal in rehearse(&Plan::of_file(file), FILTER, module_cache) {
                match rehearsal.outcome {
                    Ok(()) => report.note(rehearsal.to_string()),
                    Err(_) => report.error(rehearsal.to_string()),
                }
            }
        }
    }
}

//! Which of several services a command is about.

use anyhow::anyhow;
use clap::Args;
use dtr_lb::config::{Config, ConfigFile};

use super::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct ServiceChoice {
    /// Which of several services is asked, by its name.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

impl ServiceChoice {
    /// Whether the arguments name one.
    pub(super) fn is_given(&self) -> bool {
        self.service.is_some()
    }

    /// The registry that is asked.
    ///
    /// # Errors
    /// There is none, or none of that name, or it is not said which.
    pub(super) fn registry<'a>(&self, file: &'a ConfigFile) -> Result<&'a Config, Failure> {
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
}

fn usage(problem: impl std::fmt::Display) -> Failure {
    Failure::Usage(anyhow!("{problem}"))
}

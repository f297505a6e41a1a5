//! Which configurations Envoy can be given.

use anyhow::anyhow;
use dtr_lb::config::ConfigFile;

use super::super::failure::Failure;

/// The configuration, if it is that of a balancer without filters of others.
///
/// # Errors
/// It is another.
pub(super) fn only_balancer(file: ConfigFile) -> Result<ConfigFile, Failure> {
    let only_run = "run by `dtr-lb run` only";
    let Some(first) = file.registries().first() else {
        return Err(Failure::Usage(anyhow!(
            "a chain of filters is {only_run}; write its listener for Envoy by hand, as \
             docs/envoy.md shows"
        )));
    };
    if !first.filters.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "filters: these are {only_run}; leave them out here, and add \
             them to the listeners of envoy.yaml before the filter dtr-lb"
        )));
    }
    Ok(file)
}

/// The same, if nothing of it comes and goes.
///
/// # Errors
/// DNS says which replicas there are, and what is written here stays as it is.
pub(super) fn without_discovery(file: &ConfigFile) -> Result<(), Failure> {
    match file.discovered_names().first() {
        None => Ok(()),
        Some(name) => Err(Failure::Usage(anyhow!(
            "{} stands for replicas that come and go (\"discover\"), and what is written here \
             stays as it is; use --dynamic --watch, or --kubernetes",
            name.name()
        ))),
    }
}

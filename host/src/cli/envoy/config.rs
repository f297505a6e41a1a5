//! Which configurations Envoy can be given.

use anyhow::anyhow;
use dtr_lb::config::{Config, ConfigFile};

use super::super::failure::Failure;

/// The configuration of a balancer without filters of others.
///
/// # Errors
/// It is another.
pub(super) fn only_balancer(file: ConfigFile) -> Result<Config, Failure> {
    let only_run = "run by `dtr-lb run` only";
    let ConfigFile::Balancer(config) = file else {
        return Err(Failure::Usage(anyhow!(
            "a chain of filters is {only_run}; write its listener for Envoy by hand, as \
             envoy/README.md shows"
        )));
    };
    if !config.filters.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "filters: these are {only_run}; leave them out here, and add \
             them to the listeners of envoy.yaml before the filter dtr-lb"
        )));
    }
    Ok(*config)
}

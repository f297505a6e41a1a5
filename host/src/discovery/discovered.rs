//! What DNS has of a configuration's names, asked once.

use std::time::Duration;

use super::Discovery;
use crate::config::{ConfigFile, ConfigWarning};

/// What DNS has of a configuration's names.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The configuration with the replicas that its names stand for.
    pub file: ConfigFile,
    /// Of each name by which no replica is found.
    pub unanswered: Vec<ConfigWarning>,
    /// Of names that lead to other replicas than is probably meant.
    pub warnings: Vec<ConfigWarning>,
    /// The entries, by name, that may stand for more replicas than are found.
    pub incomplete: Vec<String>,
}

/// Looks the names of a configuration up once, for at most `limit`, as a balancer on this
/// machine would.
pub async fn discover(file: &ConfigFile, limit: Duration) -> Discovered {
    let mut discovery = Discovery::on_this_machine();
    discovery.take_names(file);
    discovery.ask_within(limit).await;
    let expanded = discovery.expanded(file);
    let (mut unanswered, mut warnings) = (Vec::new(), Vec::new());
    for name in file.discovered_names() {
        let Some(known) = discovery.named(name.name()) else {
            continue;
        };
        match (known.shortfall(), &known.answer) {
            (None, _) => {}
            (Some(shortfall), None) => unanswered.push(name.warning(format!(
                "{shortfall}, and a balancer that starts now has none until one is; correct it, \
                 or see \"nameservers\""
            ))),
            (Some(shortfall), Some(_)) => warnings.push(name.warning(format!(
                "{shortfall}; correct what its records lead to, or see \"nameservers\""
            ))),
        }
        let own = expanded
            .left_out
            .iter()
            .filter(|own| own.name == name.name());
        warnings.extend(own.map(|own| name.warning(own.to_string())));
    }
    let entries = file.registries().iter().flat_map(|config| &config.replicas);
    let incomplete = entries.filter(|entry| {
        let name = entry
            .discovered_name()
            .and_then(|name| discovery.named(name));
        name.is_some_and(|name| name.shortfall().is_some())
    });
    Discovered {
        incomplete: incomplete.map(|entry| entry.name.clone()).collect(),
        file: expanded.file,
        unanswered,
        warnings,
    }
}

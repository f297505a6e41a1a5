//! Whether the names of a configuration have addresses.

use std::time::Duration;

use dtr_lb::config::{ConfigFile, ConfigWarning, DnsName};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Asks the system's resolver for each name, all at once; a warning for each that has
/// no address.
pub(in crate::cli) fn look_up(file: &ConfigFile) -> Vec<ConfigWarning> {
    let names = file.dns_names();
    if names.is_empty() {
        return Vec::new();
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let first = names.first();
            return first
                .map(|name| name.warning(format!("can't be looked up: no runtime: {error}")))
                .into_iter()
                .collect();
        }
    };
    let mut warnings = runtime.block_on(async {
        let asked = names.into_iter().enumerate();
        let mut lookups: JoinSet<_> = asked
            .map(|(index, name)| async move { (index, problem_of(&name).await, name) })
            .collect();
        let mut warnings = Vec::new();
        while let Some(Ok((index, problem, name))) = lookups.join_next().await {
            warnings.extend(problem.map(|problem| (index, name.warning(problem))));
        }
        warnings
    });
    // The resolver may keep a thread for longer than anybody waits.
    runtime.shutdown_background();
    warnings.sort_by_key(|(index, _)| *index);
    warnings.into_iter().map(|(_, warning)| warning).collect()
}

/// `None`: it has an address.
async fn problem_of(name: &DnsName) -> Option<String> {
    match timeout(LONGEST_LOOKUP, tokio::net::lookup_host((name.name(), 0))).await {
        Err(_) => Some(format!(
            "the system's resolver has not answered within {}; see whether DNS can be reached \
             from here",
            humantime::format_duration(LONGEST_LOOKUP)
        )),
        Ok(Err(error)) => Some(format!(
            "it has no address now ({error}), and nothing is sent there until it has one; \
             correct it, or add it to DNS"
        )),
        Ok(Ok(_)) => None,
    }
}

const LONGEST_LOOKUP: Duration = Duration::from_secs(2);

//! How many connections a plan allows, and where that comes from.

use std::collections::BTreeSet;

use crate::control::admission::Limit;
use crate::net::fd_limit::{FileBudget, FileNeeds};
use crate::plan::{Listener, Plan};
use crate::proxy::options::HostOptions;

/// What files are needed for to run a plan, beside connections.
pub(super) fn file_needs(plan: &Plan, options: &HostOptions, retired: usize) -> FileNeeds {
    let pooled: BTreeSet<&String> = plan.pools.iter().flat_map(|one| &one.clusters).collect();
    let calls = plan
        .clusters
        .iter()
        .filter(|one| !pooled.contains(&one.name));
    FileNeeds {
        workers: options.workers.get(),
        listeners: plan.listeners.len(),
        retired,
        calls: calls.count().min(MOST_CALLS),
    }
}

/// The limit of all listeners together: what is configured, or what there are files
/// for, whichever is less.
pub(super) fn whole(
    plan: &Plan,
    options: &HostOptions,
    budget: &FileBudget,
    needs: &FileNeeds,
) -> Limit {
    let fit = budget.connections(needs);
    let most = fit.saturating_add(needs.waiting());
    let (configured, field) = match plan.max_connections {
        Some(most) if most as usize <= options.max_sessions => (most as usize, "max_connections"),
        _ => (options.max_sessions, "max_sessions"),
    };
    if configured <= fit {
        return Limit {
            connections: configured,
            most,
            warning: format!(
                "as many connections are open as may be: {configured}, by {field}; \
                 further clients wait until others have gone; raise {field}"
            ),
        };
    }
    let files = budget.files();
    Limit {
        connections: fit,
        most,
        warning: format!(
            "as many connections are open as may be: {fit}, since the process may open \
             {files} files; further clients wait until others have gone; \
             raise LimitNOFILE (ulimit -n)"
        ),
    }
}

/// What is said of a configured limit that there are not files enough for.
pub(super) fn shortfall(plan: &Plan, limit: &Limit, budget: &FileBudget) -> Option<String> {
    let wanted = plan.max_connections?;
    let (fit, files) = (limit.connections, budget.files());
    (fit < wanted as usize).then(|| {
        format!(
            "max_connections is {wanted}, but the process may open {files} files, enough for \
             {fit} connections; raise LimitNOFILE (ulimit -n) or lower max_connections"
        )
    })
}

/// A listener's own limit, if it has one.
pub(super) fn of_listener(listener: &Listener) -> Option<Limit> {
    let connections = listener.max_connections? as usize;
    let bind = listener.bind;
    Some(Limit {
        connections,
        most: usize::MAX,
        warning: format!(
            "listener {bind}: as many connections are open as may be: {connections}, by its \
             max_connections; further clients wait until others have gone; raise it"
        ),
    })
}

/// The balancer has no more probes under way than this.
const MOST_CALLS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture;

    #[test]
    fn the_lesser_of_what_is_configured_and_what_there_are_files_for_counts() {
        let options = HostOptions::default();
        let budget = FileBudget::of(1024);
        let mut plan = fixture::plan(&[]);
        let needs = file_needs(&plan, &options, 0);
        let fit = budget.connections(&needs);
        let cases = [
            (None, fit, "raise LimitNOFILE", false),
            (Some(10), 10, "by max_connections;", false),
            (Some(5000), fit, "raise LimitNOFILE", true),
        ];
        for (configured, expected, remedy, falls_short) in cases {
            plan.max_connections = configured;
            let limit = whole(&plan, &options, &budget, &needs);
            assert_eq!(limit.connections, expected, "{configured:?}");
            assert!(limit.most >= limit.connections);
            let warning = &limit.warning;
            assert!(warning.contains(&expected.to_string()), "{warning}");
            assert!(warning.contains(remedy), "{warning}");
            let shortfall = shortfall(&plan, &limit, &budget);
            assert_eq!(shortfall.is_some(), falls_short, "{shortfall:?}");
        }
        plan.max_connections = Some(10);
        let options = HostOptions {
            max_sessions: 3,
            ..options
        };
        assert_eq!(whole(&plan, &options, &budget, &needs).connections, 3);
    }
}

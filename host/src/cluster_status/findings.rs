//! The replicas' views, compared with each other and with the configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, FindingKind};
use super::view::{Member, View};

/// A configured replica, and what it says.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Its name here.
    pub name: String,
    /// Its id in the registry, when the configuration has it.
    pub id: Option<String>,
    /// What its own `/_ping` says: well, or why not; `None`: it was not asked.
    pub ping: Option<Result<(), String>>,
    /// What it says of all, or why it does not.
    pub view: Result<View, String>,
}

/// All that is worth a look, the worst of each replica first: as of `now_unix_s`.
#[must_use]
pub fn findings(witnesses: &[Witness], now_unix_s: i64) -> Vec<Finding> {
    let mut found = silent(witnesses);
    let views: Vec<(&str, &View)> = (witnesses.iter())
        .filter_map(|witness| Some((witness.name.as_str(), witness.view.as_ref().ok()?)))
        .collect();
    let mut said: BTreeMap<&str, Vec<(&str, &Member)>> = BTreeMap::new();
    for (name, view) in &views {
        for (id, member) in &view.0 {
            said.entry(id).or_default().push((name, member));
        }
    }
    if !views.is_empty() {
        found.extend(joined(witnesses, &said));
    }
    for (id, sayings) in &said {
        let named = witnesses
            .iter()
            .find(|witness| witness.id.as_deref() == Some(id));
        let title = title(id, named);
        let missing = views.len() - sayings.len();
        found.extend(health(&title, sayings, missing));
        found.extend(stale(&title, sayings, now_unix_s));
        found.extend(named.and_then(|witness| ping_differs(witness, sayings)));
    }
    found
}

/// An id, with the name it has here.
fn title(id: &str, named: Option<&Witness>) -> String {
    match named {
        Some(witness) => format!("{id} ({})", witness.name),
        None => id.to_owned(),
    }
}

fn silent(witnesses: &[Witness]) -> Vec<Finding> {
    let silent = witnesses.iter().filter_map(|witness| {
        let why = witness.view.as_ref().err()?;
        Some(Finding {
            kind: FindingKind::Silent,
            about: witness.name.clone(),
            text: format!("{} does not say how the cluster is: {why}", witness.name),
        })
    });
    silent.collect()
}

/// Whether the cluster's replicas and the configured ones are the same.
fn joined(witnesses: &[Witness], said: &BTreeMap<&str, Vec<(&str, &Member)>>) -> Vec<Finding> {
    let ids: BTreeSet<&str> = witnesses
        .iter()
        .filter_map(|one| one.id.as_deref())
        .collect();
    let without_id: Vec<&str> = (witnesses.iter())
        .filter(|one| one.id.is_none())
        .map(|one| one.name.as_str())
        .collect();
    let unknown: Vec<&str> = said
        .keys()
        .copied()
        .filter(|id| !ids.contains(id))
        .collect();
    let mut found = Vec::new();
    let mut add = |kind, about: &str, text| {
        found.push(Finding {
            kind,
            about: about.to_owned(),
            text,
        });
    };
    for witness in witnesses {
        if let Some(id) = &witness.id
            && !said.contains_key(id.as_str())
        {
            let text = format!(
                "{} has the id {id}, which is in no view of the cluster: it has left, or the id is wrong",
                witness.name
            );
            add(FindingKind::NotInCluster, &witness.name, text);
        }
    }
    if without_id.is_empty() {
        for id in unknown {
            let text = format!(
                "{id} is in the cluster and not configured here, so that it gets no clients: add it \
                 to \"replicas\", with this \"id\""
            );
            add(FindingKind::NotConfigured, id, text);
        }
    } else if unknown.len() > without_id.len() {
        let text = format!(
            "{} of {} are in the cluster and not configured here, so that they get no clients: add \
             them to \"replicas\", and give each its \"id\" to see which",
            unknown.len() - without_id.len(),
            unknown.join(", ")
        );
        add(FindingKind::NotConfigured, &unknown.join(", "), text);
    } else if unknown.len() < without_id.len() {
        let text = format!(
            "{} of {} are not in the cluster; give each its \"id\" to see which",
            without_id.len() - unknown.len(),
            without_id.join(", ")
        );
        add(FindingKind::NotInCluster, &without_id.join(", "), text);
    }
    found
}

/// What is said of a replica; `missing` of the views do not have it.
fn health(title: &str, sayings: &[(&str, &Member)], missing: usize) -> Option<Finding> {
    let mut by_error: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (witness, member) in sayings {
        let error = member.error.as_deref().unwrap_or("OK");
        by_error.entry(error).or_default().push(witness);
    }
    let who = by_error.iter().map(|(error, names)| match names.len() {
        1 => format!("{} says {error}", names.join("")),
        _ => format!("{} say {error}", names.join(", ")),
    });
    let mut who: Vec<String> = who.collect();
    let is_alike = by_error.len() == 1 && missing == 0;
    if missing > 0 {
        who.push(format!("{missing} of the views do not have it"));
    }
    let kind = match is_alike {
        false => FindingKind::Disagreement,
        true if by_error.contains_key("OK") => return None,
        true => FindingKind::Unhealthy,
    };
    Some(Finding {
        kind,
        about: title.to_owned(),
        text: format!("of {title} {}", who.join("; ")),
    })
}

/// Whether what is known of a replica is old.
fn stale(title: &str, sayings: &[(&str, &Member)], now_unix_s: i64) -> Option<Finding> {
    let age = |member: &Member| Some(now_unix_s.saturating_sub(member.said_unix_s?));
    let old: Vec<(&str, Option<i64>)> = (sayings.iter())
        .map(|(witness, member)| (*witness, age(member)))
        .filter(|(_, age)| age.is_none_or(|age| age > STALE))
        .collect();
    let names: Vec<&str> = old.iter().map(|(witness, _)| *witness).collect();
    let newest = old.iter().filter_map(|(_, age)| *age).min();
    let text = match newest {
        _ if old.is_empty() => return None,
        Some(age) => format!(
            "what is known of {title} at {} is {} min old, and more than {} are too many: it has not \
             reported since",
            names.join(", "),
            age / 60,
            STALE / 60
        ),
        None => format!(
            "what is said of {title} at {} has no time, and may be old",
            names.join(", ")
        ),
    };
    Some(Finding {
        kind: FindingKind::Stale,
        about: title.to_owned(),
        text,
    })
}

/// Whether a replica's own word is another than the cluster's.
fn ping_differs(witness: &Witness, sayings: &[(&str, &Member)]) -> Option<Finding> {
    let ping = witness.ping.as_ref()?;
    let name = &witness.name;
    let is_well = sayings.iter().all(|(_, member)| member.error.is_none());
    let is_ill = sayings.iter().all(|(_, member)| member.error.is_some());
    let text = match ping {
        Ok(()) if is_ill => {
            format!("{name} answers /_ping as healthy, and the cluster says it is not")
        }
        Err(why) if is_well => {
            format!("{name} does not pass /_ping ({why}), and the cluster says it is OK")
        }
        _ => return None,
    };
    Some(Finding {
        kind: FindingKind::PingDiffers,
        about: name.clone(),
        text,
    })
}

/// Replicas report to the cluster's cache themselves; one that has not for so long, in
/// seconds, is stuck.
const STALE: i64 = 10 * 60;

#[cfg(test)]
mod tests;

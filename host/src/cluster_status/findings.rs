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

impl Witness {
    /// A replica that has not been asked.
    pub(crate) fn unasked(name: String, id: Option<String>) -> Self {
        Witness {
            name,
            id,
            ping: None,
            view: Err("it could not be asked".to_owned()),
        }
    }
}

/// All that is worth a look, the worst of each replica first: as of `now_unix_s`.
#[must_use]
pub fn findings(witnesses: &[Witness], now_unix_s: i64) -> Vec<Finding> {
    let mut found = silent(witnesses);
    let views: Vec<(&str, &View)> = (witnesses.iter())
        .filter_map(|witness| Some((witness.name.as_str(), witness.view.as_ref().ok()?)))
        .collect();
    let mut members: BTreeMap<&str, Vec<(&str, &Member)>> = BTreeMap::new();
    for (name, view) in &views {
        for (id, member) in &view.0 {
            members.entry(id).or_default().push((name, member));
        }
    }
    if !views.is_empty() {
        found.extend(joined(witnesses, &members));
    }
    let by_id = witnesses
        .iter()
        .filter_map(|one| Some((one.id.as_deref()?, one)));
    let by_id: BTreeMap<&str, &Witness> = by_id.collect();
    for (id, views_of_it) in &members {
        let named = by_id.get(id).copied();
        let title = title(id, named);
        let missing = views.len() - views_of_it.len();
        found.extend(health(&title, views_of_it, missing));
        found.extend(stale(&title, views_of_it, now_unix_s));
        found.extend(named.and_then(|witness| ping_differs(witness, views_of_it)));
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
fn joined(witnesses: &[Witness], members: &BTreeMap<&str, Vec<(&str, &Member)>>) -> Vec<Finding> {
    let ids: BTreeSet<&str> = witnesses
        .iter()
        .filter_map(|one| one.id.as_deref())
        .collect();
    let without_id: Vec<&str> = (witnesses.iter())
        .filter(|one| one.id.is_none())
        .map(|one| one.name.as_str())
        .collect();
    let unknown: Vec<&str> = members
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
            && !members.contains_key(id.as_str())
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
        let all = listed(&unknown);
        let text = format!(
            "{} of {all} are in the cluster and not configured here, so that they get no clients: \
             add them to \"replicas\", and give each its \"id\" to see which",
            unknown.len() - without_id.len()
        );
        add(FindingKind::NotConfigured, &all, text);
    } else if unknown.len() < without_id.len() {
        let all = listed(&without_id);
        let text = format!(
            "{} of {all} are not in the cluster; give each its \"id\" to see which",
            without_id.len() - unknown.len()
        );
        add(FindingKind::NotInCluster, &all, text);
    }
    found
}

/// What the views have of a replica; `missing` of them do not have it.
fn health(title: &str, views: &[(&str, &Member)], missing: usize) -> Option<Finding> {
    let mut by_error: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (witness, member) in views {
        let error = member.error.as_deref().unwrap_or(OK);
        by_error.entry(error).or_default().push(witness);
    }
    let is_alike = by_error.len() == 1 && missing == 0;
    let (kind, remedy) = match is_alike {
        false => (
            FindingKind::Disagreement,
            "look into the log of the one that differs, and whether it reaches the others' database",
        ),
        true if by_error.contains_key(OK) => return None,
        true => (FindingKind::Unhealthy, "look into its log"),
    };
    let more = by_error.len().saturating_sub(MOST_ERRORS);
    let shown = by_error.iter().take(MOST_ERRORS);
    let mut texts: Vec<String> = shown
        .map(|(error, names)| match names.len() {
            1 => format!("{} says {error}", listed(names)),
            _ => format!("{} say {error}", listed(names)),
        })
        .collect();
    if more > 0 {
        texts.push(format!("others say {more} other things"));
    }
    match missing {
        0 => {}
        1 => texts.push("1 replica does not know it".to_owned()),
        _ => texts.push(format!("{missing} replicas do not know it")),
    }
    Some(Finding {
        kind,
        about: title.to_owned(),
        text: format!("{title}: {}; {remedy}", texts.join(", ")),
    })
}

/// Whether what is known of a replica is old, or of no time that can be.
fn stale(title: &str, views: &[(&str, &Member)], now_unix_s: i64) -> Option<Finding> {
    let mut ages: BTreeMap<Age, (i64, Vec<&str>)> = BTreeMap::new();
    for (witness, member) in views {
        let age = (member.reported_unix_s).map(|time| now_unix_s.saturating_sub(time));
        let (kind, seconds) = match age {
            None => (Age::Unknown, 0),
            Some(age) if age > STALE => (Age::Old, age),
            Some(age) if age < -AHEAD => (Age::Ahead, age.saturating_neg()),
            Some(_) => continue,
        };
        let (least, names) = ages.entry(kind).or_insert((seconds, Vec::new()));
        *least = seconds.min(*least);
        names.push(witness);
    }
    let texts = ages.iter().map(|(kind, (least, names))| {
        let (names, minutes) = (listed(names), least / 60);
        match kind {
            Age::Old => format!(
                "{names} last heard of it {minutes} min ago, which is more than {} min: look \
                 whether it runs, and into its log",
                STALE / 60
            ),
            Age::Ahead => {
                format!("its time at {names} is {minutes} min ahead of ours: synchronise the clocks (NTP)")
            }
            Age::Unknown => format!("it has no time at {names}, and what is said of it may be old"),
        }
    });
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| Finding {
        kind: FindingKind::Stale,
        about: title.to_owned(),
        text: format!("{title}: {}", texts.join("; ")),
    })
}

/// Why the time of a report is not as it should be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Old,
    Ahead,
    Unknown,
}

/// The first names, and how many more there are.
fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(MOST_NAMES).copied().collect::<Vec<_>>();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Whether a replica's own word is another than the cluster's.
fn ping_differs(witness: &Witness, views: &[(&str, &Member)]) -> Option<Finding> {
    let ping = witness.ping.as_ref()?;
    let name = &witness.name;
    let is_well = views.iter().all(|(_, member)| member.error.is_none());
    let is_ill = views.iter().all(|(_, member)| member.error.is_some());
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

/// The status of one that is well.
const OK: &str = "OK";

/// Replicas report to the cluster's cache themselves; one that has not for this long, in
/// seconds, is stuck.
const STALE: i64 = 10 * 60;

/// Clocks are not all alike; a time this far ahead, in seconds, is wrong.
const AHEAD: i64 = 60;

/// Names listed in a line.
const MOST_NAMES: usize = 8;

/// Different statuses of one replica that stand in a line.
const MOST_ERRORS: usize = 4;

#[cfg(test)]
mod tests;

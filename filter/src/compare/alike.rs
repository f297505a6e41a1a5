//! Texts that all replicas should have alike.

use super::disagreement::{Disagreement, Fault, Subject};
use super::observation::{Observation, Observed};

/// Who has which text.
pub(super) struct Groups {
    /// The text that more than half have.
    pub(super) usual: Option<String>,
    /// The other texts, and those that have them.
    pub(super) odd: Vec<(String, Vec<String>)>,
}

/// Those that have another text than most, or all when there is no majority. Replicas
/// that say nothing have no part in it. `describe` is given the text and the majority's.
pub(super) fn compare(
    replicas: &[Observed<'_>],
    (subject, fault): (Subject, Fault),
    pick: &dyn Fn(&Observation) -> Option<String>,
    describe: &dyn Fn(&str, Option<&str>) -> String,
) -> Vec<Disagreement> {
    let Groups { usual, odd } = groups(replicas, pick);
    let describe = |(text, replicas): (String, Vec<String>)| Disagreement {
        subject,
        fault,
        text: describe(&text, usual.as_deref()),
        replicas,
    };
    odd.into_iter().map(describe).collect()
}

/// Sorts replicas by their texts. None is odd when all have the same.
pub(super) fn groups(
    replicas: &[Observed<'_>],
    pick: &dyn Fn(&Observation) -> Option<String>,
) -> Groups {
    let by_text = by_text(replicas, pick);
    let usual = majority(&by_text).map(str::to_owned);
    let odd = by_text
        .into_iter()
        .filter(|(text, _)| usual.as_ref() != Some(text));
    Groups {
        odd: odd.collect(),
        usual,
    }
}

/// The texts of the replicas, in their order, and those that have them.
pub(super) fn by_text(
    replicas: &[Observed<'_>],
    pick: &dyn Fn(&Observation) -> Option<String>,
) -> Vec<(String, Vec<String>)> {
    let mut by_text: Vec<(String, Vec<String>)> = Vec::new();
    for (name, observation) in replicas {
        let Some(text) = pick(observation) else {
            continue;
        };
        match by_text.binary_search_by(|(known, _)| known.cmp(&text)) {
            Ok(at) => {
                if let Some((_, replicas)) = by_text.get_mut(at) {
                    replicas.push((*name).to_owned());
                }
            }
            Err(at) => by_text.insert(at, (text, vec![(*name).to_owned()])),
        }
    }
    by_text
}

/// The text that more than half have.
fn majority(by_text: &[(String, Vec<String>)]) -> Option<&str> {
    let all: usize = by_text.iter().map(|(_, replicas)| replicas.len()).sum();
    let mut texts = by_text.iter();
    let (text, _) = texts.find(|(_, replicas)| replicas.len() > all / 2)?;
    Some(text)
}

//! What the trials come to.

use std::collections::BTreeSet;
use std::time::Duration;

use super::trial::{Seen, Trial};

/// One thing that is wrong with uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFinding {
    /// What kind of thing.
    pub kind: UploadFindingKind,
    /// The replicas that are not as most are, by name.
    pub replicas: Vec<String>,
    /// What it is, and what to do.
    pub text: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UploadFindingKind {
    /// Replicas sign uploads with different secrets.
    OtherSecret,
    /// Replicas do not share their storage.
    NotShared,
    /// A replica does not let the user in whom others let in.
    LoginRefused,
    /// A replica takes no upload, or answers something else.
    Failed,
    /// A replica knows uploads of another after a while only.
    Late,
    /// No replica takes one, so that nothing is known.
    NotTested,
    /// An upload could not be deleted.
    NotDeleted,
}

/// What is wrong, for each kind of thing once: first what fails pushes.
#[must_use]
pub fn diagnose(trials: &[Trial]) -> Vec<UploadFinding> {
    let mut found = not_begun(trials);
    let pairs = Pairs::of(trials);
    found.extend(pairs.faults());
    found.extend(pairs.late());
    found.extend(not_deleted(trials));
    found.sort_by_key(|one| one.kind);
    found
}

/// Where an upload was begun, where it was asked for, and what came of it.
struct Pairs<'a> {
    all: Vec<(&'a str, &'a str, &'a Seen)>,
    /// The largest set of replicas that go on with each other's uploads.
    most: BTreeSet<&'a str>,
}

impl<'a> Pairs<'a> {
    fn of(trials: &'a [Trial]) -> Pairs<'a> {
        let asked = trials.iter().flat_map(|trial| {
            let begun_at = trial.begun_at.as_str();
            let asked = trial.asked.iter();
            asked.map(move |(name, seen)| (begun_at, name.as_str(), seen))
        });
        let mut pairs = Pairs {
            all: asked.collect(),
            most: BTreeSet::new(),
        };
        pairs.most = pairs.largest_set(trials);
        pairs
    }

    fn largest_set(&self, trials: &'a [Trial]) -> BTreeSet<&'a str> {
        let mut largest = BTreeSet::new();
        for trial in trials {
            let set = self.set_around(&trial.begun_at);
            // Of two that are as large, the first.
            if set.len() > largest.len() {
                largest = set;
            }
        }
        largest
    }

    /// All that go on with each other's uploads, from this one on.
    fn set_around(&self, name: &'a str) -> BTreeSet<&'a str> {
        let mut set = BTreeSet::from([name]);
        let mut next = vec![name];
        while let Some(name) = next.pop() {
            for (begun_at, asked_at, _) in &self.all {
                let other = match (*begun_at == name, *asked_at == name) {
                    (true, _) => *asked_at,
                    (_, true) => *begun_at,
                    _ => continue,
                };
                if self.agree(name, other) && set.insert(other) {
                    next.push(other);
                }
            }
        }
        set
    }

    /// Whether whatever was asked between the two is known.
    fn agree(&self, one: &str, other: &str) -> bool {
        let mut between = self.all.iter().filter(|(begun_at, asked_at, _)| {
            (*begun_at, *asked_at) == (one, other) || (*begun_at, *asked_at) == (other, one)
        });
        between.all(|(_, _, seen)| matches!(seen, Seen::Known(_)))
    }

    fn faults(&self) -> Vec<UploadFinding> {
        let most = listed(&self.most.iter().copied().collect::<Vec<_>>());
        let secret = self.finding(
            UploadFindingKind::OtherSecret,
            |seen| matches!(seen, Seen::OtherSecret).then_some(""),
            |odd, _| {
                format!(
                    "{odd} refuses uploads that were begun at {most}, or they refuse its own \
                     (BLOB_UPLOAD_INVALID): another secret has signed them; give all replicas the \
                     same \"http.secret\", or pushes fail whenever their requests reach both"
                )
            },
        );
        let storage = self.finding(
            UploadFindingKind::NotShared,
            |seen| matches!(seen, Seen::NotStored).then_some(""),
            |odd, _| {
                format!(
                    "{odd} does not know uploads that were begun at {most}, or they do not know its \
                     own, for 3 s at least: they do not share their storage, or it lags; have all \
                     replicas use one storage, or pushes and pulls fail whenever their requests \
                     reach both"
                )
            },
        );
        let login = self.finding(
            UploadFindingKind::LoginRefused,
            |seen| match seen {
                Seen::LoginRefused(why) => Some(why.as_str()),
                _ => None,
            },
            |odd, why| {
                format!(
                    "{odd} answers {why} to a login that {most} has given or taken; give all \
                     replicas the same users and the same keys of the token service"
                )
            },
        );
        let failed = self.finding(
            UploadFindingKind::Failed,
            |seen| match seen {
                Seen::Failed(why) => Some(why.as_str()),
                _ => None,
            },
            |odd, why| {
                format!(
                    "between {odd} and {most} an upload can't be asked for: {why}; look into their \
                     logs"
                )
            },
        );
        let found = [secret, storage, login, failed];
        found.into_iter().flatten().collect()
    }

    /// What is found where there is a fault of this kind. `text` is given the replicas, and
    /// the text of the first fault.
    fn finding(
        &self,
        kind: UploadFindingKind,
        is_it: impl Fn(&'a Seen) -> Option<&'a str>,
        text: impl Fn(&str, &str) -> String,
    ) -> Option<UploadFinding> {
        let (replicas, why) = self.fault(is_it)?;
        Some(UploadFinding {
            kind,
            text: text(&titled(&replicas), why),
            replicas,
        })
    }

    /// The replicas between which and most there is a fault of this kind, or else those
    /// between which there is one at all; with the text of the first.
    fn fault(&self, is_it: impl Fn(&'a Seen) -> Option<&'a str>) -> Option<(Vec<String>, &'a str)> {
        let faults = self.all.iter();
        let faults: Vec<(&str, &str, &str)> = faults
            .filter_map(|(begun_at, asked_at, seen)| Some((*begun_at, *asked_at, is_it(seen)?)))
            .collect();
        let (_, _, first) = faults.first()?;
        let odd = |(begun_at, asked_at, _): &(&'a str, &'a str, &'a str)| match (
            self.most.contains(begun_at),
            self.most.contains(asked_at),
        ) {
            (true, false) => Some(*asked_at),
            (false, true) => Some(*begun_at),
            _ => None,
        };
        let mut names: BTreeSet<&str> = faults.iter().filter_map(odd).collect();
        if names.is_empty() {
            names = faults.iter().map(|(_, asked_at, _)| *asked_at).collect();
        }
        Some((names.into_iter().map(str::to_owned).collect(), first))
    }

    fn late(&self) -> Option<UploadFinding> {
        let late = self
            .all
            .iter()
            .filter_map(|(_, asked_at, seen)| match seen {
                Seen::Known(after) if !after.is_zero() => Some((*asked_at, *after)),
                _ => None,
            });
        let late: Vec<(&str, Duration)> = late.collect();
        let longest = late.iter().map(|(_, after)| *after).max()?;
        let names: BTreeSet<String> = late.iter().map(|(name, _)| (*name).to_owned()).collect();
        let names: Vec<String> = names.into_iter().collect();
        Some(UploadFinding {
            kind: UploadFindingKind::Late,
            text: format!(
                "{} knows uploads of other replicas only after up to {:.1} s: the storage lags, and \
                 pushes fail now and then; look at its caches (NFS: actimeo, lookupcache), or have \
                 \"policy\": \"source-hash\" keep a client at one replica",
                titled(&names),
                longest.as_secs_f64()
            ),
            replicas: names,
        })
    }
}

/// Where no upload could be begun, for each reason once.
fn not_begun(trials: &[Trial]) -> Vec<UploadFinding> {
    let is_begun = |trial: &Trial| trial.begun.is_ok();
    let kind = match trials.iter().any(is_begun) {
        true => UploadFindingKind::Failed,
        false => UploadFindingKind::NotTested,
    };
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for trial in trials {
        let Err(why) = &trial.begun else { continue };
        let name = trial.begun_at.clone();
        match by_reason.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((why, vec![name])),
        }
    }
    let finding = |(why, names): (&str, Vec<String>)| UploadFinding {
        kind,
        text: format!("no upload can be begun at {}: {why}", named(&names)),
        replicas: names,
    };
    by_reason.into_iter().map(finding).collect()
}

fn not_deleted(trials: &[Trial]) -> impl Iterator<Item = UploadFinding> {
    trials.iter().filter_map(|trial| {
        let why = trial.deleted.as_ref().err()?;
        let name = &trial.begun_at;
        Some(UploadFinding {
            kind: UploadFindingKind::NotDeleted,
            replicas: vec![name.clone()],
            text: format!(
                "the upload that was begun at replica \"{name}\" may still be there ({why}); it is \
                 empty, and registries remove such uploads by themselves after some days"
            ),
        })
    })
}

/// As what does something.
fn titled(names: &[String]) -> String {
    match names.len() {
        1 => named(names),
        _ => format!("each of the {}", named(names)),
    }
}

fn named(names: &[String]) -> String {
    let word = if names.len() == 1 {
        "replica"
    } else {
        "replicas"
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("{word} {}", listed(&names))
}

/// The first names, and how many more there are.
fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(MOST_NAMES);
    let shown: Vec<String> = shown.map(|name| format!("\"{name}\"")).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Names listed in a line.
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each replica's upload, and what comes of it elsewhere: `.` known, `s` another
    /// secret, `u` unknown, `l` late, `r` login refused, ` ` not asked.
    fn trials(rows: &[&str]) -> Vec<Trial> {
        let name = |at: usize| format!("r{}", at + 1);
        let rows = rows.iter().enumerate();
        rows.map(|(at, row)| {
            let asked = row.chars().enumerate().filter_map(|(other, letter)| {
                let seen = match letter {
                    '.' => Seen::Known(Duration::ZERO),
                    'l' => Seen::Known(Duration::from_millis(1200)),
                    's' => Seen::OtherSecret,
                    'u' => Seen::NotStored,
                    'r' => Seen::LoginRefused("401 (UNAUTHORIZED)".to_owned()),
                    _ => return None,
                };
                (other != at).then(|| (name(other), seen))
            });
            Trial {
                begun_at: name(at),
                begun: Ok(()),
                asked: asked.collect(),
                deleted: Ok(()),
            }
        })
        .collect()
    }

    #[test]
    fn the_one_that_is_not_as_most_are_is_named() {
        use UploadFindingKind::{Late, LoginRefused, NotShared, OtherSecret};
        type Expected = &'static [(UploadFindingKind, &'static [&'static str])];
        let cases: [(&str, &[&str], Expected); 9] = [
            ("all go on with each other's", &["...", "...", "..."], &[]),
            ("one alone", &["."], &[]),
            (
                "another secret",
                &["..s", "..s", "ss."],
                &[(OtherSecret, &["r3"])],
            ),
            (
                "the first is the odd one",
                &[".ss", "s..", "s.."],
                &[(OtherSecret, &["r1"])],
            ),
            (
                "another secret, and another storage",
                &["..su", "..su", "ss.s", "uus."],
                &[(OtherSecret, &["r3"]), (NotShared, &["r4"])],
            ),
            ("two that differ", &[".u", "u."], &[(NotShared, &["r2"])]),
            (
                "in a ring",
                &[" .    ", "  s   ", "   s  ", "    . ", "     .", ".     "],
                &[(OtherSecret, &["r3"])],
            ),
            (
                "another login",
                &["..r", "..r", "rr."],
                &[(LoginRefused, &["r3"])],
            ),
            ("late", &[".l", ".."], &[(Late, &["r2"])]),
        ];
        for (why, rows, expected) in cases {
            let found = diagnose(&trials(rows));
            let seen: Vec<(UploadFindingKind, Vec<&str>)> = found
                .iter()
                .map(|one| {
                    let names = one.replicas.iter().map(String::as_str);
                    (one.kind, names.collect())
                })
                .collect();
            let expected: Vec<(UploadFindingKind, Vec<&str>)> = expected
                .iter()
                .map(|(kind, names)| (*kind, names.to_vec()))
                .collect();
            assert_eq!(seen, expected, "{why}");
        }
    }

    #[test]
    fn where_no_upload_can_be_begun_each_reason_stands_once() {
        let mut all = trials(&["   ", "   ", "   "]);
        for trial in &mut all {
            trial.begun = Err("it answers 403 (DENIED)".to_owned());
        }
        let found = diagnose(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].kind, UploadFindingKind::NotTested);
        assert_eq!(
            found[0].text,
            "no upload can be begun at replicas \"r1\", \"r2\", \"r3\": it answers 403 \
             (DENIED)"
        );
        all[0].begun = Ok(());
        assert_eq!(diagnose(&all)[0].kind, UploadFindingKind::Failed);
    }

    #[test]
    fn an_upload_that_stays_is_said() {
        let mut all = trials(&["..", ".."]);
        all[1].deleted = Err("no answer within 10 s".to_owned());
        let found = diagnose(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].kind, UploadFindingKind::NotDeleted);
        assert!(
            found[0]
                .text
                .contains("begun at replica \"r2\" may still be there (no answer")
        );
    }
}

//! What has changed between two rounds, as lines of the log.

use super::disagreement::Disagreement;
use crate::contract::{LogField, LogLine};
use crate::effect::{Effects, Level};

/// Logs what is found and was not known, and what was known and is over.
pub(super) fn log(known: &[Disagreement], found: &[Disagreement], effects: &mut Effects) {
    let new = without(found, known).map(|new| line(new, new.to_string()));
    log_some(Level::Warn, new.collect(), effects);
    let over = without(known, found).map(|old| line(old, format!("no longer: {old}")));
    log_some(Level::Info, over.collect(), effects);
}

/// A line about a disagreement; of several replicas its text says which.
fn line(about: &Disagreement, text: String) -> LogLine {
    let line = LogLine::new(text).with(LogField::Reason, about.subject.name());
    match &about.replicas[..] {
        [replica] => line.with(LogField::Replica, replica),
        _ => line,
    }
}

/// Those that are not among the others.
fn without<'a>(
    some: &'a [Disagreement],
    others: &'a [Disagreement],
) -> impl Iterator<Item = &'a Disagreement> {
    let is_other = |one: &Disagreement| others.iter().any(|other| other.is_same(one));
    some.iter().filter(move |one| !is_other(one))
}

/// Logs the first lines, and how many more there are.
fn log_some(level: Level, lines: Vec<LogLine>, effects: &mut Effects) {
    let more = lines.len().saturating_sub(MOST_LINES);
    for line in lines.into_iter().take(MOST_LINES) {
        effects.log_event(level, line);
    }
    if more > 0 {
        let text = format!("replicas differ: {more} more lines like these are left out");
        effects.log(level, format!("{text}; /status has all that holds now"));
    }
}

/// As many lines of each level are logged after a round.
const MOST_LINES: usize = 20;

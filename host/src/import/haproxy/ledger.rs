//! What became of each line.

use std::collections::{BTreeMap, BTreeSet};

use dtr_lb_filter::printable::printable;

use super::line::Line;
use crate::import::note::{Notes, Place};

/// One answer for each line, however many services it counts for: a line that one of
/// them took over has been taken over.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    lines: BTreeMap<usize, Outcome>,
    /// Lines taken over since they were last asked for.
    recent: Vec<Place>,
}

#[derive(Debug)]
struct Outcome {
    place: Place,
    taken: Option<Taken>,
    not_taken: Option<String>,
    /// Of a line that was taken over, what was not, by the reason.
    left: BTreeMap<String, Vec<String>>,
    advice: BTreeSet<String>,
    is_noted: bool,
}

#[derive(Debug)]
enum Taken {
    Text(String),
    /// A field that all listeners share: what stands in the file, and what became of it.
    As(&'static str, String, String),
}

impl Ledger {
    /// The new configuration has what the line says.
    pub(super) fn taken(&mut self, line: &Line, text: impl Into<String>) {
        self.take(line, || Taken::Text(text.into()));
    }

    /// What stands there (`old`) became this value of a field that all listeners share,
    /// of which one line is taken in the end.
    pub(super) fn taken_as(&mut self, line: &Line, field: &'static str, old: &str, value: &str) {
        self.take(line, || Taken::As(field, printable(old), printable(value)));
    }

    /// The lines that were taken over since this was last called.
    pub(super) fn take_recent(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.recent)
    }

    /// The new configuration does not have what the line says.
    pub(super) fn not_taken(&mut self, line: &Line, text: impl Into<String>) {
        let outcome = self.outcome(line);
        outcome.not_taken.get_or_insert_with(|| text.into());
    }

    /// Nothing else has been said of the line.
    pub(super) fn rest(&mut self, line: &Line, text: impl FnOnce() -> String) {
        if !self.knows(line) {
            self.not_taken(line, text());
        }
    }

    /// A part of a line that otherwise has been taken over.
    pub(super) fn left(&mut self, line: &Line, part: &str, why: impl Into<String>) {
        let parts = self.outcome(line).left.entry(why.into()).or_default();
        let shown: String = part.chars().take(LONGEST_PART).collect();
        if parts.len() < MOST_PARTS && !parts.contains(&shown) {
            parts.push(shown);
        }
    }

    /// Something to decide.
    pub(super) fn advice(&mut self, line: &Line, text: impl Into<String>) {
        self.outcome(line).advice.insert(text.into());
    }

    /// The line is noted where the configuration is composed.
    pub(super) fn noted(&mut self, line: &Line) {
        self.outcome(line).is_noted = true;
    }

    pub(super) fn has_taken(&self, line: &Line) -> bool {
        let outcome = self.lines.get(&line.place.line);
        outcome.is_some_and(|one| one.is_noted || one.taken.is_some())
    }

    pub(super) fn write(self, notes: &mut Notes) {
        for outcome in self.lines.into_values() {
            let place = &outcome.place;
            match (outcome.taken, outcome.not_taken) {
                (Some(Taken::As(field, old, value)), _) => {
                    notes.taken_as(place, field, &old, &value);
                }
                (Some(Taken::Text(text)), _) => notes.taken(place, printable(&text)),
                (None, Some(text)) => notes.not_taken(place, printable(&text)),
                (None, None) => {}
            }
            if !outcome.left.is_empty() {
                let left = outcome.left.into_iter();
                let left: Vec<String> = left
                    .map(|(why, parts)| format!("{}: {why}", parts.join(", ")))
                    .collect();
                notes.not_taken(place, printable(&left.join("; ")));
            }
            for text in outcome.advice {
                notes.advice(place, printable(&text));
            }
        }
    }

    fn knows(&self, line: &Line) -> bool {
        let outcome = self.lines.get(&line.place.line);
        outcome.is_some_and(|one| one.is_noted || one.taken.is_some() || one.not_taken.is_some())
    }

    fn take(&mut self, line: &Line, taken: impl FnOnce() -> Taken) {
        self.recent.push(line.place.clone());
        let outcome = self.outcome(line);
        outcome.taken.get_or_insert_with(taken);
    }

    fn outcome(&mut self, line: &Line) -> &mut Outcome {
        let new = || Outcome {
            place: line.place.clone(),
            taken: None,
            not_taken: None,
            left: BTreeMap::new(),
            advice: BTreeSet::new(),
            is_noted: false,
        };
        self.lines.entry(line.place.line).or_insert_with(new)
    }
}

/// In characters.
const LONGEST_PART: usize = 40;
/// There are no more words on a line.
const MOST_PARTS: usize = 64;

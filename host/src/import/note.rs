//! What became of each line of the old file.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use dtr_lb_filter::printable::printable;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name, as it was given or included.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What became of something in the old file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The new configuration has it.
    Taken,
    /// The new configuration does not have it; the text says why.
    NotTaken,
    /// It works against what the registry's guide asks of a balancer, or needs a
    /// decision; the text says what to do.
    Advice,
}

/// One thing the operator should know of the old file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands.
    pub place: Place,
    /// What became of it.
    pub kind: NoteKind,
    /// What it is, and what it became or why not.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            NoteKind::Taken => "taken over",
            NoteKind::NotTaken => "not taken over",
            NoteKind::Advice => "advice",
        };
        write!(f, "{}: {kind}: {}", self.place, self.text)
    }
}

/// All notes of an import; at most [`MOST_NOTES`] are kept, so that a hostile file
/// can't fill the memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    note: Note,
    /// `None`: no field of its own.
    became: Option<Became>,
}

/// What a part of the old file became.
#[derive(Clone, Debug)]
struct Became {
    /// Of the new configuration.
    field: &'static str,
    /// As it stands in the old one.
    old: String,
    /// What it became.
    value: String,
}

impl Notes {
    pub(super) fn taken(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, NoteKind::Taken, text.into(), None);
    }

    /// What stands there (`old`) became a field that all listeners share, of this
    /// value: should another one be taken in the end, [`Notes::overruled`] finds the
    /// note.
    pub(super) fn taken_as(&mut self, place: &Place, field: &'static str, old: &str, value: &str) {
        let text = format!("{old}: {field:?}: {value:?}");
        let became = Became {
            field,
            old: old.to_owned(),
            value: value.to_owned(),
        };
        self.add(place, NoteKind::Taken, text, Some(became));
    }

    pub(super) fn not_taken(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, NoteKind::NotTaken, text.into(), None);
    }

    pub(super) fn advice(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, NoteKind::Advice, text.into(), None);
    }

    /// What stands at `place`, which its reader took over into `field`, did not become
    /// it after all.
    pub(super) fn overruled(&mut self, place: &Place, field: &str, reason: impl Into<String>) {
        let reason = reason.into();
        let quoted = format!("{field:?}");
        let is_noted = |note: &Note| {
            let is_there = note.place == *place && note.kind == NoteKind::NotTaken;
            is_there && note.text.ends_with(&reason)
        };
        // Of another service that shares the line.
        if self.0.iter().any(|entry| is_noted(&entry.note)) {
            return;
        }
        for Entry { note, became } in &mut self.0 {
            let is_it = match became {
                Some(became) => became.field == field,
                None => note.text.contains(&quoted),
            };
            if is_it && note.kind == NoteKind::Taken && note.place == *place {
                note.kind = NoteKind::NotTaken;
                note.text = match became {
                    Some(became) => format!("{}: {reason}", became.old),
                    None => reason,
                };
                return;
            }
        }
        self.not_taken(place, reason);
    }

    /// The field has this value in the end: whatever became another one did not.
    pub(super) fn settled(&mut self, field: &str, value: &str, reason: &str) {
        for Entry { note, became } in &mut self.0 {
            let is_other = |became: &&mut Became| became.field == field && became.value != value;
            if let (NoteKind::Taken, Some(became)) = (note.kind, became.as_mut().filter(is_other)) {
                note.kind = NoteKind::NotTaken;
                note.text = format!("{}: {reason}", became.old);
            }
        }
    }

    /// What stands at these places is not part of the import: nothing of it is taken,
    /// and no advice on it is needed.
    pub(super) fn leave_out(&mut self, places: &BTreeSet<Place>, reason: &str) {
        self.0.retain(|entry| {
            entry.note.kind != NoteKind::Advice || !places.contains(&entry.note.place)
        });
        for Entry { note, .. } in &mut self.0 {
            if note.kind == NoteKind::Taken && places.contains(&note.place) {
                // What it is, without what it would have become.
                let what = note
                    .text
                    .split_once(": ")
                    .map_or(&*note.text, |(what, _)| what);
                note.text = format!("{what}: {reason}");
                note.kind = NoteKind::NotTaken;
            }
        }
    }

    /// Takes in the notes of a part of the file.
    pub(super) fn append(&mut self, part: Notes) {
        for Entry { note, became } in part.0 {
            self.add(&note.place, note.kind, note.text, became);
        }
    }

    /// What was not taken over, and why: all that counts when nothing is imported.
    pub(super) fn only_not_taken(mut self) -> Self {
        self.0.retain(|entry| entry.note.kind == NoteKind::NotTaken);
        self
    }

    /// In the order of files and lines; what belongs to one line stays in the order
    /// in which it was noted. What was noted twice, since two services share a
    /// server, is there once.
    pub(super) fn sorted(self) -> Vec<Note> {
        let mut notes: Vec<Note> = self.0.into_iter().map(|entry| entry.note).collect();
        notes.sort_by(|one, other| one.place.cmp(&other.place));
        notes.dedup();
        notes
    }

    fn add(&mut self, place: &Place, kind: NoteKind, text: String, became: Option<Became>) {
        let place = place.clone();
        if self.0.len() < MOST_NOTES {
            // What stands in a file can't move the cursor of the reader's terminal.
            let text = printable(&text);
            let note = Note { place, kind, text };
            self.0.push(Entry { note, became });
        } else if let Some(last) = self.0.last_mut() {
            last.note = Note {
                place,
                kind: NoteKind::NotTaken,
                text: format!("more than {MOST_NOTES} notes; split the file"),
            };
        }
    }
}

const MOST_NOTES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize) -> Place {
        let file = "old".into();
        Place { file, line }
    }

    fn shown(notes: Notes) -> Vec<String> {
        notes.sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_another_value_overruled_is_not_taken_after_all() {
        let mut notes = Notes::default();
        notes.taken_as(&place(2), "policy", "least_conn", "least-connections");
        notes.taken_as(&place(1), "policy", "random", "random-two");
        notes.taken(&place(1), "timeout 5s: \"idle_timeout\"");
        notes.overruled(&place(2), "policy", "another is taken");
        notes.overruled(&place(2), "policy", "another is taken");
        notes.overruled(&place(1), "idle_timeout", "a longer one is taken");
        notes.overruled(&place(3), "fqdn", "--fqdn says another");
        let expected = [
            "old:1: taken over: random: \"policy\": \"random-two\"",
            "old:1: not taken over: a longer one is taken",
            "old:2: not taken over: least_conn: another is taken",
            "old:3: not taken over: --fqdn says another",
        ];
        assert_eq!(shown(notes), expected);
    }

    #[test]
    fn what_is_left_out_did_not_become_anything() {
        let mut notes = Notes::default();
        notes.taken(&place(1), "server a [::1]:443: a replica");
        notes.taken_as(&place(1), "fqdn", "acl dtr", "dtr.example.com");
        notes.taken(&place(2), "server b: a replica");
        notes.advice(&place(1), "take it out");
        notes.leave_out(&BTreeSet::from([place(1)]), "--only leaves it out");
        let expected = [
            "old:1: not taken over: server a [::1]:443: --only leaves it out",
            "old:1: not taken over: acl dtr: --only leaves it out",
            "old:2: taken over: server b: a replica",
        ];
        assert_eq!(shown(notes), expected);
    }

    #[test]
    fn notes_are_cut_and_can_not_move_the_cursor() {
        let mut notes = Notes::default();
        notes.taken(&place(1), "a\u{1b}[2J\nb");
        notes.taken(&place(2), "x".repeat(10_000));
        let shown = shown(notes);
        assert_eq!(shown[0], "old:1: taken over: a\\u{1b}[2J\\u{a}b");
        assert!(shown[1].len() < 600, "{}", shown[1].len());
    }

    #[test]
    fn there_is_a_limit_on_notes() {
        let mut notes = Notes::default();
        for line in 1..MOST_NOTES + 10 {
            notes.taken(&place(line), "x");
        }
        let shown = shown(notes);
        assert_eq!(shown.len(), MOST_NOTES);
        let expected = format!("old:{}: not taken over: more than", MOST_NOTES + 9);
        let last = shown.last().map_or("", String::as_str);
        assert!(last.starts_with(&expected), "{last}");
    }
}

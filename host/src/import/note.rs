//! What is said of each line of the old file.

use std::fmt;
use std::sync::Arc;

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
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub(super) fn taken(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, NoteKind::Taken, text.into());
    }

    pub(super) fn not_taken(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, NoteKind::NotTaken, text.into());
    }

    /// A line that a reader took over into a field, before another one had it.
    pub(super) fn overruled(&mut self, place: &Place, field: &str, text: impl Into<String>) {
        let quoted = format!("{field:?}");
        self.0.retain(|note| {
            note.kind != NoteKind::Taken || note.place != *place || !note.text.contains(&quoted)
        });
        self.not_taken(place, text);
    }

    pub(super) fn advice(&mut self, place: &Place, text: impl Into<String>) {
        self.add(place, NoteKind::Advice, text.into());
    }

    /// In the order of files and lines; what belongs to one line stays in the order
    /// in which it was noted.
    pub(super) fn sorted(mut self) -> Vec<Note> {
        self.0.sort_by(|one, other| one.place.cmp(&other.place));
        // Services that share a line are told the same of it.
        self.0.dedup();
        self.0
    }

    fn add(&mut self, place: &Place, kind: NoteKind, text: String) {
        let place = place.clone();
        if self.0.len() < MOST_NOTES {
            self.0.push(Note { place, kind, text });
        } else if let Some(last) = self.0.last_mut() {
            *last = Note {
                place,
                kind: NoteKind::NotTaken,
                text: format!("more than {MOST_NOTES} notes; split the file"),
            };
        }
    }
}

const MOST_NOTES: usize = 20_000;

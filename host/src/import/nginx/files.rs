//! The files of one import: their texts, which errors show, and includes.

use std::sync::Arc;

use super::directive::{self, Directive, MOST_WORDS};
use super::token::{Fault, Spot, Word};
use crate::import::error::ImportError;
use crate::import::note::{Notes, Place};
use crate::import::sources::{MOST_FILES, Sources};

/// What was read so far.
pub(super) struct Files<'a> {
    sources: &'a mut dyn Sources,
    files: Vec<SourceFile>,
    /// How many words may still come.
    room: usize,
    bytes: usize,
}

struct SourceFile {
    name: Arc<str>,
    text: String,
    /// Files that include each other, down to this one.
    depth: usize,
}

impl<'a> Files<'a> {
    pub(super) fn new(sources: &'a mut dyn Sources) -> Self {
        Files {
            sources,
            files: Vec::new(),
            room: MOST_WORDS,
            bytes: 0,
        }
    }

    /// Reads the directives of a file that nothing includes.
    pub(super) fn parse(&mut self, name: &str, text: &str) -> Result<Vec<Directive>, ImportError> {
        self.add(name, text.to_owned(), 0)
    }

    /// The directives of a block, with those of included files in place of the
    /// includes.
    pub(super) fn expand(
        &mut self,
        directives: Vec<Directive>,
        notes: &mut Notes,
    ) -> Result<Vec<Directive>, ImportError> {
        // What is still to be looked at, the next one last.
        let mut left: Vec<Directive> = directives;
        left.reverse();
        let mut expanded = Vec::new();
        while let Some(directive) = left.pop() {
            if directive.is("include") {
                let included = self.include(&directive, notes)?;
                left.extend(included.into_iter().rev());
            } else {
                expanded.push(directive);
            }
        }
        Ok(expanded)
    }

    pub(super) fn place(&self, spot: Spot) -> Place {
        let file = self.files.get(spot.file);
        Place {
            file: file.map_or_else(|| Arc::from(""), |file| Arc::clone(&file.name)),
            line: spot.line,
        }
    }

    /// Where a directive stands.
    pub(super) fn place_of(&self, directive: &Directive) -> Place {
        self.place(directive.name.start)
    }

    /// A word can't be read.
    pub(super) fn error(&self, word: &Word, problem: impl Into<String>) -> ImportError {
        self.error_at(word.start, problem)
    }

    /// The value behind the `=` of a word can't be read.
    pub(super) fn value_error(&self, word: &Word, problem: impl Into<String>) -> ImportError {
        let name = word
            .text
            .split_once('=')
            .map_or(0, |(name, _)| name.chars().count() + 1);
        let column = word.start.column + name;
        self.error_at(
            Spot {
                column,
                ..word.start
            },
            problem,
        )
    }

    fn error_at(&self, spot: Spot, problem: impl Into<String>) -> ImportError {
        let text = self.files.get(spot.file).map_or("", |file| &file.text);
        ImportError::at(&self.place(spot), text, spot.column, problem)
    }

    fn include(
        &mut self,
        directive: &Directive,
        notes: &mut Notes,
    ) -> Result<Vec<Directive>, ImportError> {
        let [pattern] = directive.arguments.as_slice() else {
            let problem = "\"include\" takes one file name or pattern";
            return Err(self.error(&directive.name, problem));
        };
        let place = self.place_of(directive);
        let depth = self
            .files
            .get(pattern.start.file)
            .map_or(0, |file| file.depth)
            + 1;
        if depth > DEEPEST {
            let problem = format!("more than {DEEPEST} files that include each other");
            return Err(self.error(pattern, problem));
        }
        // NGINX looks from the folder of the main file, whichever includes.
        let main = self.files.first().map(|file| Arc::clone(&file.name));
        let names = self
            .sources
            .list(&pattern.text, main.as_deref().unwrap_or_default());
        let names = names.map_err(|error| {
            self.error(
                pattern,
                format!("{:?} can't be included ({error})", pattern.text),
            )
        })?;
        if names.is_empty() {
            let text = format!(
                "{}: no file here matches; import again on the machine that has them",
                directive.shown()
            );
            notes.not_taken(&place, text);
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for name in &names {
            if self.files.len() > MOST_FILES {
                let problem = format!("more than {MOST_FILES} files are included");
                return Err(self.error(pattern, problem));
            }
            let text = self.sources.read(name).map_err(|error| {
                let problem = format!(
                    "{name} can't be included ({error}); put it there, or take the line out"
                );
                self.error(pattern, problem)
            })?;
            self.bytes += text.len();
            if self.bytes > MOST_BYTES {
                let problem = format!("more than {} MiB are included", MOST_BYTES >> 20);
                return Err(self.error(pattern, problem));
            }
            all.extend(self.add(name, text, depth)?);
        }
        let files = match names.len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        notes.taken(&place, format!("{}: {files}, see there", directive.shown()));
        Ok(all)
    }

    fn add(
        &mut self,
        name: &str,
        text: String,
        depth: usize,
    ) -> Result<Vec<Directive>, ImportError> {
        let parsed = directive::parse(&text, self.files.len(), &mut self.room);
        self.files.push(SourceFile {
            name: name.into(),
            text,
            depth,
        });
        parsed.map_err(|Fault { spot, problem }| self.error_at(spot, problem))
    }
}

const DEEPEST: usize = 8;
/// Of all included files together.
const MOST_BYTES: usize = 16 << 20;

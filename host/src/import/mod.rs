//! The way in from another balancer: an NGINX stream, a haproxy.cfg, or an AWS
//! classic load balancer becomes a configuration of our own.
//!
//! A reader for each format turns the file into what was [`found`]; [`compose`] makes
//! one configuration of it. Whatever stands in the file gets a [`Note`]: nothing is
//! dropped in silence.

mod checks;
mod chosen;
mod compose;
mod endpoint;
mod error;
mod found;
mod guide;
mod haproxy;
mod note;
mod options;
mod output;
mod replicas;
mod rhythm;
mod sources;
mod written;

pub use error::{ImportError, Position};
pub use note::{Note, NoteKind, Place};
pub use options::ImportOptions;
pub use sources::{FileSources, NoSources, OldFile, Sources};

use found::Found;
use note::Notes;

/// A file, as far as it was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration, JSON.
    pub config: String,
    /// How many addresses it listens on.
    pub listeners: usize,
    /// How many replicas it has.
    pub replicas: usize,
    /// What became of each line.
    pub notes: Vec<Note>,
}

/// The common end of all readers.
fn finish(
    found: Found,
    file: &str,
    options: &ImportOptions,
    mut notes: Notes,
) -> Result<Imported, ImportError> {
    let composed = match compose::compose(found, file, options, &mut notes) {
        Ok(composed) => composed,
        Err(error) => return Err(with_reasons(error, notes)),
    };
    let config = serde_json::to_string_pretty(&composed).map_err(|error| {
        ImportError::of_file(file, format!("can't be written as JSON: {error}"))
    })?;
    Ok(Imported {
        config,
        listeners: composed.listeners.len(),
        replicas: composed.replicas.len(),
        notes: notes.sorted(),
    })
}

/// An error with what was not taken over before it, which may be why.
fn with_reasons(error: ImportError, notes: Notes) -> ImportError {
    ImportError {
        notes: notes.only_not_taken().sorted(),
        ..error
    }
}

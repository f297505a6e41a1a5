//! The way in from another balancer: an NGINX stream, a haproxy.cfg, or an AWS
//! classic load balancer becomes a configuration of our own.
//!
//! A reader for each format turns the file into what was [`found`]; [`compose`] makes
//! one configuration of it. Whatever stands in the file gets a [`Note`]: nothing is
//! dropped in silence.

mod checks;
mod compose;
mod endpoint;
mod error;
mod found;
mod haproxy;
mod note;
mod options;
mod output;
mod replicas;
mod sources;
mod written;

pub use error::ImportError;
pub use note::{Note, NoteKind, Place};
pub use options::ImportOptions;

/// A file, as far as it was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration, JSON.
    pub config: String,
    /// What became of each line.
    pub notes: Vec<Note>,
}

/// The common end of all readers.
fn finish(
    found: found::Found,
    file: &str,
    options: &ImportOptions,
    mut notes: note::Notes,
) -> Result<Imported, ImportError> {
    let composed = compose::compose(found, file, options, &mut notes)?;
    let config = serde_json::to_string_pretty(&composed).map_err(|error| {
        ImportError::of_file(file, format!("can't be written as JSON: {error}"))
    })?;
    Ok(Imported {
        config,
        notes: notes.sorted(),
    })
}

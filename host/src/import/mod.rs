//! The way in from another balancer: an NGINX stream, a haproxy.cfg, or an AWS
//! classic load balancer becomes a configuration of our own.
//!
//! A reader for each format turns the file into what was found; `compose` makes
//! one configuration of it. Whatever stands in the file gets a [`Note`]: nothing is
//! dropped in silence.
//!
//! ```
//! use dtr_lb::import::{ImportOptions, NoSources, OldFile, import};
//!
//! let file = OldFile {
//!     name: "nginx.conf".to_owned(),
//!     text: "stream { server { listen 443; proxy_pass 10.0.0.11:443; } }".to_owned(),
//! };
//! let options = ImportOptions {
//!     fqdn: Some("dtr.example.com".to_owned()),
//!     ..ImportOptions::default()
//! };
//! let imported = import(&file, file.format()?, &options, &mut NoSources)?;
//! assert!(imported.config.contains("0.0.0.0:443"));
//! assert_eq!(imported.notes[0].place.to_string(), "nginx.conf:1");
//! # Ok::<(), dtr_lb::import::ImportError>(())
//! ```

mod checks;
mod chosen;
mod compose;
mod elb;
mod endpoint;
mod error;
mod format;
mod found;
mod guide;
mod haproxy;
mod nginx;
mod note;
mod number;
mod options;
mod output;
mod proxy_protocol;
mod replicas;
mod rhythm;
mod sources;
#[cfg(test)]
mod tests;
mod written;

pub use crate::config::foreign::ForeignFormat;
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

/// Makes a configuration of an old file in this format, as far as that can be done.
/// Whether the result can be used, [`crate::config::ConfigFile::parse`] says.
///
/// # Errors
/// The file, or one that it includes, is broken, or nothing in it can be taken over.
pub fn import(
    file: &OldFile,
    format: ForeignFormat,
    options: &ImportOptions,
    sources: &mut dyn Sources,
) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    match read(file, format, options, (sources, &mut notes)) {
        Ok(found) => finish(found, &file.name, options, notes),
        Err(error) => Err(with_reasons(error, notes)),
    }
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

/// Has the format's reader read the file.
fn read(
    file: &OldFile,
    format: ForeignFormat,
    options: &ImportOptions,
    (sources, notes): (&mut dyn Sources, &mut Notes),
) -> Result<Found, ImportError> {
    let name = file.name.as_str();
    // A byte order mark, with which editors of Windows begin a file, is no part of it.
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    match format {
        ForeignFormat::Nginx => nginx::read(name, text, sources, notes),
        ForeignFormat::AwsElb => elb::read(name, text, options, notes),
        ForeignFormat::Haproxy => haproxy::read(name, text, sources, notes),
    }
}

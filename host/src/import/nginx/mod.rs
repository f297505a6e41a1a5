//! NGINX's configuration, as far as its streams pass TCP through.

mod advice;
mod directive;
mod files;
mod listen;
mod lua;
mod main_context;
mod map;
mod method;
mod names;
mod server;
mod settings;
mod stream;
mod token;
mod upstream;
mod upstream_server;
mod value;

use super::error::ImportError;
use super::found::Found;
use super::note::Notes;
use super::sources::Sources;
use files::Files;

/// Reads an `nginx.conf`, or a part of one that stands in a stream block.
///
/// # Errors
/// It, or a file that it includes, can't be read.
pub(super) fn read(
    name: &str,
    text: &str,
    sources: &mut dyn Sources,
    notes: &mut Notes,
) -> Result<Found, ImportError> {
    let mut files = Files::new(sources);
    let directives = files.parse(name, text)?;
    let stream = main_context::stream(directives, &mut files, notes)?;
    Ok(Found {
        services: stream::services(stream, &mut files, notes)?,
        ..Found::default()
    })
}

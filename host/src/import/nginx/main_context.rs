//! What stands outside of all blocks, and what of it is a stream.

use super::directive::Directive;
use super::files::Files;
use super::names;
use super::value;
use crate::import::error::ImportError;
use crate::import::note::{Notes, Place};

/// What the stream blocks contain.
pub(super) struct StreamBlocks {
    /// The first of them.
    pub(super) place: Option<Place>,
    pub(super) directives: Vec<Directive>,
}

/// Notes what is around the stream blocks, and returns what is in them.
///
/// # Errors
/// An included file can't be read.
pub(super) fn stream(
    directives: Vec<Directive>,
    files: &mut Files<'_>,
    notes: &mut Notes,
) -> Result<StreamBlocks, ImportError> {
    let directives = files.expand(directives, notes)?;
    let mut stream = StreamBlocks {
        place: None,
        directives: Vec::new(),
    };
    // A file that another one includes in its stream block.
    let is_part = (directives.iter())
        .all(|one| !["events", "http", "stream"].iter().any(|name| one.is(name)));
    if is_part {
        stream.place = directives.first().map(|one| files.place_of(one));
        stream.directives = directives;
        return Ok(stream);
    }
    for directive in directives {
        let place = files.place_of(&directive);
        let shown = directive.shown();
        match directive.name.text.as_str() {
            "stream" => {
                stream.place.get_or_insert(place);
                stream
                    .directives
                    .extend(directive.block.unwrap_or_default());
            }
            "events" => events(directive, files, notes)?,
            "http" => {
                let text = "http: what speaks HTTP or ends TLS has no place here; only streams are \
                            taken over";
                notes.not_taken(&place, text);
            }
            "mail" => notes.not_taken(&place, "mail: only streams are taken over"),
            name => {
                let reason = names::reason(name).unwrap_or("not known here");
                notes.not_taken(&place, format!("{shown}: {reason}"));
            }
        }
    }
    Ok(stream)
}

fn events(block: Directive, files: &mut Files<'_>, notes: &mut Notes) -> Result<(), ImportError> {
    for directive in files.expand(block.block.unwrap_or_default(), notes)? {
        let place = files.place_of(&directive);
        let shown = directive.shown();
        if !directive.is("worker_connections") {
            let reason = names::reason(&directive.name.text).unwrap_or("not known here");
            notes.not_taken(&place, format!("{shown}: {reason}"));
            continue;
        }
        let Some(word) = directive.arguments.first() else {
            let problem = "\"worker_connections\" takes a number, such as 1024";
            return Err(files.error(&directive.name, problem));
        };
        let count = value::count(&word.text).map_err(|problem| files.error(word, problem))?;
        let text = format!(
            "{shown}: the limit on open files decides how many connections there may be, or \
             \"max_connections\""
        );
        notes.not_taken(&place, text);
        notes.advice(
            &place,
            format!(
                "{shown}: it counts both sides of a connection, so that NGINX serves about {} \
                 clients in each worker at once",
                count / 2
            ),
        );
    }
    Ok(())
}

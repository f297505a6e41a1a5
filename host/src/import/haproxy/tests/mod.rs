//! Whole files: what is read of them, what is refused, and that nothing is dropped.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::import::found::Service;
use crate::import::note::Note;
use crate::import::sources::NoSources;

mod checks;
mod lines;
mod page;
mod refusals;
mod settings;

fn imported(text: &str) -> Result<(Found, Vec<Note>), ImportError> {
    let mut notes = Notes::default();
    let found = read("haproxy.cfg", text, &mut NoSources, &mut notes)?;
    Ok((found, notes.sorted()))
}

/// One service between these lines of defaults, and of the section itself.
fn service(defaults: &str, lines: &str) -> (Service, Vec<Note>) {
    let text = format!("defaults\n{defaults}\nlisten dtr\nbind :443\n{lines}\n");
    let (found, notes) = imported(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (found.services.into_iter().next().unwrap(), notes)
}

/// The samples, by name.
fn samples() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/haproxy");
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|name| name == "cfg"));
    files
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(file).unwrap())
        })
        .collect()
}

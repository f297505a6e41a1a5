//! The sample files in host/tests/import: each `.expected` file beside them shows a
//! command, and what it reports and writes.
//!
//! `UPDATE_EXPECTED=1` writes them again; their first line stays.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::path::{Path, PathBuf};

use crate::config::ConfigFile;
use crate::import::{FileSources, ImportOptions, NoteKind, OldFile, import};

#[test]
fn samples_become_what_is_expected_of_them() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut differences = Vec::new();
    let all = expected_files();
    assert!(all.len() > 20, "only {} samples", all.len());
    for path in all {
        let expected = std::fs::read_to_string(&path).unwrap();
        let command = expected.lines().next().unwrap_or_default();
        let found = run(command, path.parent().unwrap());
        if found != expected && update {
            std::fs::write(&path, found).unwrap();
        } else if found != expected {
            let path = path.display();
            differences.push(format!("{path}:\n{}", difference(&expected, &found)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_line_of_a_file_is_taken_over_or_not() {
    for name in [
        "guide.conf",
        "names.conf",
        "weights.conf",
        "direct.conf",
        "part.conf",
    ] {
        let file = OldFile::load(&folder().join("nginx").join(name)).unwrap();
        let options = options("--fqdn dtr.example.com");
        let format = file.format().unwrap();
        let imported = import(&file, format, &options, &mut FileSources).unwrap();
        for (index, line) in file.text.lines().enumerate() {
            // Of a block that is read, its lines are spoken of.
            let is_frame = ["events {", "stream {", "server {", "}", ""].contains(&line.trim());
            let notes = imported
                .notes
                .iter()
                .filter(|note| note.place.line == index + 1);
            let noted = notes.filter(|note| note.kind != NoteKind::Advice).count();
            let is_comment = line.trim().starts_with('#');
            assert_eq!(
                noted > 0,
                !is_frame && !is_comment,
                "{name}:{}: {line}",
                index + 1
            );
        }
    }
}

/// All of them, in order.
fn expected_files() -> Vec<PathBuf> {
    let pattern = format!("{}/*/*.expected", folder().display());
    glob::glob(&pattern).unwrap().map(Result::unwrap).collect()
}

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

/// What a command such as `$ dtr-lb import nginx.conf --only 443` reports and writes.
fn run(command: &str, folder: &Path) -> String {
    let arguments = command.strip_prefix("$ dtr-lb import ").unwrap();
    let (name, flags) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let mut file = OldFile::load(&folder.join(name)).unwrap();
    name.clone_into(&mut file.name);
    let mut transcript = format!("{command}\n");
    let mut say = |line: String| transcript.push_str(&format!("{line}\n"));
    let format = match file.format() {
        Ok(format) => format,
        Err(error) => {
            say(format!("error: {error}"));
            return transcript;
        }
    };
    say(format!("{name}: {format}"));
    match import(&file, format, &options(flags), &mut InFolder(folder)) {
        Ok(imported) => {
            imported.notes.iter().for_each(|note| say(note.to_string()));
            if let Err(error) = ConfigFile::parse(&imported.config, "result") {
                say(format!("error: {error}"));
            }
            say(String::new());
            say(imported.config);
        }
        Err(error) => {
            error.notes.iter().for_each(|note| say(note.to_string()));
            say(format!("error: {error}"));
        }
    }
    transcript
}

fn options(flags: &str) -> ImportOptions {
    let mut options = ImportOptions {
        token: "0123456789abcdef0123456789abcdef".to_owned(),
        ..ImportOptions::default()
    };
    let mut words = flags.split_whitespace();
    while let (Some(flag), Some(value)) = (words.next(), words.next()) {
        match flag {
            "--fqdn" => options.fqdn = Some(value.to_owned()),
            "--verify" => options.verify = Some(value.to_owned()),
            "--only" => options.only = value.split(',').map(str::to_owned).collect(),
            "--instances" => {
                let instances = value.split(',').filter_map(|one| one.split_once('='));
                let instances = instances.map(|(id, address)| (id.to_owned(), address.to_owned()));
                options.instances = instances.collect();
            }
            _ => panic!("{flag} is not known here"),
        }
    }
    options
}

/// Files of a folder, by names that do not show where it is.
struct InFolder<'a>(&'a Path);

impl crate::import::Sources for InFolder<'_> {
    fn list(&mut self, pattern: &str, _: &str) -> std::io::Result<Vec<String>> {
        let root = format!("{}/", self.0.display());
        let names = FileSources.list(pattern, &format!("{root}main"))?;
        let short = |name: String| name.strip_prefix(&root).unwrap_or(&name).to_owned();
        Ok(names.into_iter().map(short).collect())
    }

    fn read(&mut self, name: &str) -> std::io::Result<String> {
        FileSources.read(&self.0.join(name).display().to_string())
    }
}

/// The lines from the first that differs.
fn difference(expected: &str, found: &str) -> String {
    let same = expected
        .lines()
        .zip(found.lines())
        .take_while(|(one, other)| one == other);
    let same = same.count();
    let rest = |text: &str| {
        text.lines()
            .skip(same)
            .take(6)
            .collect::<Vec<_>>()
            .join("\n  ")
    };
    format!(" expected\n  {}\n found\n  {}", rest(expected), rest(found))
}

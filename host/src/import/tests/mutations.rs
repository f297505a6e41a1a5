//! Thousands of broken files: none of them breaks a reader.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::path::PathBuf;

use dtr_lb_filter::random::Random;

use super::samples;
use crate::config::ConfigFile;
use crate::import::{ForeignFormat, ImportOptions, NoSources, OldFile, import};

#[test]
fn no_change_of_a_sample_breaks_a_reader() {
    let pattern = format!("{}/*/*", samples::folder().display());
    let files = glob::glob(&pattern).unwrap().map(Result::unwrap);
    let is_sample = |path: &PathBuf| {
        path.is_file()
            && path
                .extension()
                .is_none_or(|extension| extension != "expected")
    };
    let texts: Vec<String> = (files.filter(is_sample))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let options = ImportOptions {
        instances: [("i-0a1b2c3d4e5f60001".to_owned(), "10.0.0.11".to_owned())].into(),
        ..ImportOptions::default()
    };
    let mut random = Random::seeded(SEED);
    let mut imported = 0;
    for step in 0..STEPS {
        let text = mutated(&texts, &mut random);
        let name = "file".to_owned();
        let file = OldFile { name, text };
        for format in [
            ForeignFormat::Nginx,
            ForeignFormat::AwsElb,
            ForeignFormat::Haproxy,
        ] {
            // A panic shows the text.
            let shown = ShownOnPanic(step, &file.text);
            match import(&file, format, &options, &mut NoSources) {
                Ok(result) => {
                    imported += 1;
                    // Accepted or refused, but without a panic.
                    let _ = ConfigFile::parse(&result.config, "result");
                }
                Err(error) => assert!(error.to_string().len() < 2000, "{error}"),
            }
            drop(shown);
        }
    }
    assert!(
        imported > STEPS / 50,
        "only {imported} of {STEPS} could be imported"
    );
}

/// A sample with some of its bytes changed, and parts of it moved, repeated or replaced
/// by parts of another.
fn mutated(texts: &[String], random: &mut Random) -> String {
    let mut bytes = one_of(texts, random).clone().into_bytes();
    for _ in 0..below(4, random) + 1 {
        let (from, to) = range(bytes.len(), random);
        match below(7, random) {
            0 => drop(bytes.drain(from..to.min(from + 40))),
            1 => {
                let part = bytes[from..to.min(from + 200)].to_vec();
                let at = below(bytes.len() + 1, random);
                bytes.splice(at..at, part);
            }
            2 => {
                let other = one_of(texts, random).as_bytes();
                let (start, end) = range(other.len(), random);
                bytes.splice(from..to.min(from + 80), other[start..end].iter().copied());
            }
            3 => bytes.truncate(to),
            4 => {
                let token = one_of(&TOKENS, random).bytes();
                bytes.splice(from..from, token);
            }
            5 => {
                let token = one_of(&TOKENS, random).bytes();
                bytes.splice(from..to.min(from + 5), token);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = random.bits() as u8;
                }
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Prints the text when the thread panics while it is in hand.
struct ShownOnPanic<'a>(usize, &'a str);

impl Drop for ShownOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {SEED}, step {}:\n{}", self.0, self.1);
        }
    }
}

fn below(limit: usize, random: &mut Random) -> usize {
    random.below(limit as u64) as usize
}

fn one_of<'a, T>(all: &'a [T], random: &mut Random) -> &'a T {
    &all[below(all.len(), random)]
}

fn range(len: usize, random: &mut Random) -> (usize, usize) {
    let (one, other) = (below(len + 1, random), below(len + 1, random));
    (one.min(other), one.max(other))
}

const SEED: u64 = 20_250_611;
const STEPS: usize = 4000;
const TOKENS: [&str; 26] = [
    "{",
    "}",
    ";",
    "\"",
    "'",
    "\\",
    "#",
    "\n",
    "$",
    "${",
    "[",
    "]",
    ":",
    ",",
    "0",
    "-1",
    "99999999999999999999",
    "\u{0}",
    "\u{e9}",
    "null",
    "443",
    "stream {",
    "server ",
    "=",
    "<X>",
    "include *;",
];

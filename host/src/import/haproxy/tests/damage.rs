//! Files that were damaged.

use dtr_lb_filter::random::Random;

use super::{imported, samples};
use crate::import::note::Notes;
use crate::import::{ImportOptions, finish};

/// Whatever is damaged in a file that somebody once wrote, it is read or refused.
#[test]
fn a_damaged_file_is_no_reason_to_panic() {
    const SEED: u64 = 2017;
    const FILES: u64 = 3000;
    let samples: Vec<String> = samples().into_values().collect();
    let words: Vec<String> = samples
        .iter()
        .flat_map(|text| text.split_whitespace().map(str::to_owned))
        .collect();
    let mut random = Random::seeded(SEED);
    let mut read = 0_u64;
    for _ in 0..FILES {
        let mut text = pick(&samples, &mut random).clone();
        for _ in 0..=below(4, &mut random) {
            text = damaged(&text, &words, &mut random);
        }
        if let Ok((found, _)) = imported(&text) {
            read += 1;
            let options = ImportOptions::default();
            drop(finish(found, "haproxy.cfg", &options, Notes::default()));
        }
    }
    // Damage is of both kinds: what is refused, and what goes unnoticed.
    assert!(
        read > FILES / 10 && read < FILES,
        "{read} of {FILES} were read"
    );
}

fn damaged(text: &str, words: &[String], random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let place = below(lines.len(), random);
    let line = lines.get_mut(place).map(std::mem::take).unwrap_or_default();
    let mut parts: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let part = below(parts.len(), random);
    match below(6, random) {
        0 => parts.insert(part, pick(words, random).clone()),
        1 => drop(parts.remove(part)),
        2 => {
            let characters = [
                "\"",
                "'",
                "\\",
                "#",
                "$",
                "<a>",
                "é",
                "\u{1f}",
                ":",
                "-",
                "99999999999999999999",
            ];
            parts.insert(part, (*pick(&characters, random)).to_owned());
        }
        3 => parts.truncate(part),
        4 => {
            let word = parts.get(part).cloned().unwrap_or_default();
            let kept = word.chars().take(below(word.chars().count() + 1, random));
            parts.insert(part, kept.collect());
        }
        _ => parts.swap(0, part),
    }
    lines.insert(below(lines.len() + 1, random), parts.join(" "));
    lines.join("\n")
}

fn pick<'a, T>(all: &'a [T], random: &mut Random) -> &'a T {
    all.get(below(all.len(), random)).unwrap()
}

fn below(limit: usize, random: &mut Random) -> usize {
    usize::try_from(random.below(limit as u64)).unwrap()
}

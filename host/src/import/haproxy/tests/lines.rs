//! Nothing is dropped.

use super::{imported, samples};
use crate::import::note::NoteKind;

#[test]
fn each_line_is_noted_once() {
    let samples = samples();
    assert!(samples.len() > 10, "{} samples", samples.len());
    for (name, text) in samples {
        let (_, notes) = imported(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut within, mut expected) = (true, Vec::new());
        for (line, number) in text.lines().zip(1..) {
            let word = line.split_whitespace().next().unwrap_or("#");
            let begins = !line.starts_with([' ', '\t', '#']) && !line.is_empty();
            // A section without a part has one note for all of it.
            if begins {
                within =
                    !["peers", "mailers", "cache", "ring", "resolvers", "userlist"].contains(&word);
            }
            if !word.starts_with('#') && (within || begins) {
                expected.push(number);
            }
        }
        let count = |number: usize, kind| {
            let of_line = notes.iter().filter(|note| note.place.line == number);
            of_line.filter(|note| note.kind == kind).count()
        };
        for number in 1..=text.lines().count() {
            let taken = count(number, NoteKind::Taken);
            let not_taken = count(number, NoteKind::NotTaken);
            // The page's address is noted by what makes the configuration.
            let is_page =
                text.lines().nth(number - 1).unwrap().contains("bind") && taken + not_taken == 0;
            let is_noted = taken <= 1 && not_taken <= 1 && taken + not_taken > 0;
            assert_eq!(
                is_noted || is_page,
                expected.contains(&number),
                "{name}:{number}: {taken} taken, {not_taken} not taken"
            );
        }
    }
}

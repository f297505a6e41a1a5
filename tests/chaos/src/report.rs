//! What was seen, as tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::case::{Played, Tally};
use crate::command::How;
use crate::event::Event;
use crate::load::Outcome;
use crate::machine;
use crate::proxy::{Kind, version};
use crate::run::{End, Ended};

/// One line as soon as a case has ended.
pub(crate) fn progress(ended: &Ended) {
    let name = format!("{} on {}", ended.case.event.name, ended.case.kind.name());
    match &ended.end {
        End::Played(played) => {
            println!("{name:36} {}", line(played));
            let wrong = !played.holds() && !played.log.is_empty();
            if wrong && ended.case.kind.is_ours() {
                println!("{}", indented(&played.log));
            }
        }
        End::Absent(why) => println!("{name:36} not played: {why}"),
        End::Broken(why) => println!("{name:36} BROKEN\n{}", indented(why)),
    }
}

/// The whole table, for a terminal.
pub(crate) fn text(all: &[Ended]) -> String {
    let mut text = String::new();
    let kinds = kinds(all);
    let _ = write!(text, "{:26}", "errors that need not be");
    for kind in &kinds {
        let _ = write!(text, "{:>16}", kind.name());
    }
    for (event, ends) in rows(all) {
        let _ = write!(text, "\n{:26}", event.name);
        for kind in &kinds {
            let cell = ends.get(kind).map_or_else(String::new, |end| match end {
                End::Played(played) => {
                    let tally = &played.tally;
                    let mark = match (tally.is_sound(), played.left.is_empty()) {
                        (false, _) => " unsound",
                        (true, false) => " +left",
                        (true, true) => "",
                    };
                    format!("{}/{}{mark}", tally.unexcused(), tally.connections)
                }
                End::Absent(_) => "-".to_owned(),
                End::Broken(_) => "BROKEN".to_owned(),
            });
            let _ = write!(text, "{cell:>16}");
        }
    }
    text
}

/// The whole table, for `RESULTS.md`.
pub(crate) fn markdown(all: &[Ended], how: &How, peers: &How) -> String {
    let mut text = String::new();
    let kinds = kinds(all);
    let versions: Vec<String> = kinds
        .iter()
        .map(|kind| match version(*kind) {
            Ok(version) => format!("{} {version}", kind.name()),
            Err(_) => format!("{} missing", kind.name()),
        })
        .collect();
    let network = all.iter().find_map(|ended| match &ended.end {
        End::Played(played) => Some(played.network.as_str()),
        _ => None,
    });
    let _ = write!(
        text,
        "# Faults under load\n\n\
         Written by `just chaos-results`; [README.md](README.md) says how to read it.\n\n\
         {}; {}; {}; {} new connections a second, for {} s after the last act \
         ({} s on HAProxy and NGINX); in {}.\n\n",
        machine::today(),
        machine::describe(),
        versions.join(", "),
        how.manner().rate,
        how.manner().rest.as_secs_f64(),
        peers.manner().rest.as_secs_f64(),
        network.unwrap_or("no network at all"),
    );
    text.push_str("| event | goal |");
    for kind in &kinds {
        let _ = write!(text, " {} |", kind.name());
    }
    text.push_str("\n|---|---|");
    text.push_str(&"---|".repeat(kinds.len()));
    let mut notes = Vec::new();
    for (event, ends) in rows(all) {
        let _ = write!(
            text,
            "\n| **{}**: {} | {} |",
            event.name,
            event.what,
            event.expected.describe()
        );
        for kind in &kinds {
            let cell = match ends.get(kind) {
                None => String::new(),
                Some(End::Absent(why)) => format!("not played: {why}"),
                Some(End::Broken(why)) => {
                    notes.push(format!("{} on {}: {why}", event.name, kind.name()));
                    "could not be played, see below".to_owned()
                }
                Some(End::Played(played)) => match event.excused(*kind) {
                    Some(excuse) if !played.holds() && played.is_covered_by(excuse) => {
                        format!("{}: {}", line(played), excuse.why)
                    }
                    _ => line(played),
                },
            };
            let _ = write!(text, " {cell} |");
        }
    }
    text.push('\n');
    for note in notes {
        let _ = write!(text, "\n- {}", note.lines().next().unwrap_or_default());
    }
    text
}

/// A case in one line.
fn line(played: &Played) -> String {
    let Tally {
        connections,
        worst_wait,
        ..
    } = played.tally;
    let tally = &played.tally;
    let mut text = format!("{} of {connections}", tally.unexcused());
    if tally.unexcused() > 0 {
        let _ = write!(text, " ({})", kinds_of(&tally.errors));
    }
    for (what, errors) in [
        ("open at the time", &tally.severed),
        ("while none served", &tally.down),
    ] {
        let sum: u64 = errors.values().sum();
        if sum > 0 {
            let _ = write!(text, "; {what} {sum}");
        }
    }
    let _ = write!(text, "; worst wait {worst_wait} ms");
    for (what, count) in [
        ("harness errors", tally.harness),
        ("withheld", tally.withheld),
    ] {
        if count > 0 {
            let _ = write!(text, "; {what} {count}");
        }
    }
    if tally.served_since == 0 {
        text.push_str("; none served since it began");
    }
    if tally.late > LATE {
        let _ = write!(text, "; load late by {} ms", tally.late);
    }
    for left in &played.left {
        let _ = write!(text, "; {left}");
    }
    text
}

fn kinds_of(errors: &BTreeMap<Outcome, u64>) -> String {
    let each = errors
        .iter()
        .map(|(kind, count)| format!("{} {count}", kind.name()));
    each.collect::<Vec<_>>().join(", ")
}

fn kinds(all: &[Ended]) -> Vec<Kind> {
    let has = |kind: &Kind| all.iter().any(|ended| ended.case.kind == *kind);
    Kind::ALL.into_iter().filter(has).collect()
}

/// Ends by event, in the order of the table.
fn rows(all: &[Ended]) -> Vec<(&'static Event, BTreeMap<Kind, &End>)> {
    let mut rows: Vec<(&'static Event, BTreeMap<Kind, &End>)> = Vec::new();
    for ended in all {
        let event = ended.case.event;
        let row = match rows.iter().position(|(one, _)| one.name == event.name) {
            Some(row) => row,
            None => {
                rows.push((event, BTreeMap::new()));
                rows.len() - 1
            }
        };
        rows[row].1.insert(ended.case.kind, &ended.end);
    }
    rows
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A load this late was not quite the one asked for; milliseconds.
const LATE: u64 = 200;

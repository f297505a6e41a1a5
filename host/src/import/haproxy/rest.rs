//! What is said of lines that no part of the configuration came from.

use super::inert;
use super::ledger::Ledger;
use super::line::Line;
use super::section::{Section, SectionKind};

/// Says of each line that nothing has used why that is so.
pub(super) fn note(sections: &[Section], ledger: &mut Ledger) {
    for section in sections {
        let head = &section.head;
        let title = format!("{} {}", head.text(0), section.name());
        let title = title.trim_end();
        match section.kind {
            SectionKind::WithoutPart(why) => {
                ledger.not_taken(head, format!("{title}: {why}"));
                continue;
            }
            SectionKind::Frontend | SectionKind::Backend | SectionKind::Listen
                if !ledger.has_taken(head) =>
            {
                ledger.rest(head, || {
                    format!("{title}: no frontend that is taken over leads here")
                });
                for line in &section.lines {
                    let key = inert::key(line);
                    ledger.rest(line, || format!("{key}: {title} is not taken over"));
                }
                continue;
            }
            _ => {}
        }
        for line in &section.lines {
            ledger.rest(line, || unused(line));
        }
        if section.lines.iter().any(|line| ledger.has_taken(line)) {
            ledger.taken(head, format!("{title}: what the lines below say"));
        } else {
            ledger.rest(head, || format!("{title}: nothing here is taken over"));
        }
    }
}

fn unused(line: &Line) -> String {
    let key = inert::key(line);
    match inert::reason_of(line) {
        Some(reason) => format!("{key}: {reason}"),
        None => {
            let start: String = line.text(0).chars().take(LONGEST_WORD).collect();
            format!("{start}: unknown here")
        }
    }
}

/// In characters, of what is shown of a word.
const LONGEST_WORD: usize = 40;

//! What `global` says.

use super::check::CheckDefaults;
use super::ledger::Ledger;
use super::section::{Section, SectionKind};
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::found::At;

/// What of it has a part in balancing TCP.
#[derive(Debug, Default)]
pub(super) struct Global {
    pub(super) max_connections: Option<At<u64>>,
    pub(super) checks: CheckDefaults,
}

impl Global {
    /// Reads all sections of it; what a line says replaces what an earlier one said.
    ///
    /// # Errors
    /// A value can't be read.
    pub(super) fn read(
        source: &Source<'_>,
        sections: &[Section],
        ledger: &mut Ledger,
    ) -> Result<Self, ImportError> {
        let mut global = Global::default();
        let all = |kind| {
            sections
                .iter()
                .filter(move |one: &&Section| one.kind == kind)
        };
        let lines = all(SectionKind::Global).flat_map(|section| &section.lines);
        for line in lines {
            match line.text(0) {
                "maxconn" => {
                    let value = source.number(line, 1, (0, u64::MAX))?;
                    let place = line.place.clone();
                    // 0: as many as there are files for, which is the default here.
                    global.max_connections = (value > 0).then_some(At { value, place });
                    ledger.taken(line, format!("maxconn: \"max_connections\" is {value}"));
                }
                "ca-base" => {
                    let folder = source.path(line, 1)?;
                    ledger.taken(line, "ca-base: into \"verify\", where a check has a ca-file");
                    global.checks.ca_base = Some(folder.to_owned());
                }
                "ssl-server-verify" => {
                    let is_none = line.text(1) == "none";
                    global.checks.believes_any = is_none.then(|| line.clone());
                }
                "log" if !sections.iter().any(logs) => ledger.not_taken(
                    line,
                    "log: without \"log global\" in another section nothing was logged; each connection \
                     has a line in the access log now, on standard error",
                ),
                _ => {}
            }
        }
        Ok(global)
    }
}

/// Whether a section logs what `global` says.
fn logs(section: &Section) -> bool {
    let is_log = |line: &[&str]| matches!(line, ["log", "global", ..]);
    let mut lines = section.lines.iter();
    section.kind != SectionKind::Global && lines.any(|line| is_log(&[line.text(0), line.text(1)]))
}

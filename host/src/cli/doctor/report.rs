//! All that was found, as lines or as JSON.

use dtr_lb::config::ConfigErrors;
use serde::Serialize;

use super::configuration;
use super::finding::{Finding, Severity};
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::cli::table::wrap;
use crate::cli::terminal::{Palette, Terminal};

/// All that was found.
pub(super) struct Report {
    /// Where the configuration came from.
    file: String,
    strictness: Strictness,
    configuration: Configuration,
    looked_at: Vec<String>,
    /// What was not looked at, and why.
    left_out: Vec<String>,
    findings: Vec<Finding>,
}

/// Whether warnings are as bad as errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    Lenient,
    WarningsAreErrors,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Configuration {
    Usable,
    Refused,
}

/// The report as it is printed with `--json`.
#[derive(Serialize)]
struct Json<'a> {
    ok: bool,
    file: &'a str,
    verdict: String,
    findings: Vec<&'a Finding>,
    looked_at: &'a [String],
    not_looked_at: &'a [String],
}

impl Report {
    pub(super) fn new(file: String, strictness: Strictness) -> Report {
        Report {
            file,
            strictness,
            configuration: Configuration::Usable,
            looked_at: Vec::new(),
            left_out: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// The configuration can't be used, and so nobody that it names be looked at.
    pub(super) fn refuse(&mut self, errors: &ConfigErrors) {
        self.configuration = Configuration::Refused;
        self.looked_at("the configuration".to_owned());
        self.left_out("replicas, cluster status and uploads: the configuration is wrong");
        self.extend(configuration::errors(errors));
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    pub(super) fn looked_at(&mut self, what: String) {
        self.looked_at.push(what);
    }

    pub(super) fn left_out(&mut self, what_and_why: &str) {
        self.left_out.push(what_and_why.to_owned());
    }

    /// For people.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let width = Terminal::find().map_or(WIDTH, |terminal| terminal.width);
        print(self.text(width, Palette::find()))?;
        self.outcome()
    }

    /// Everything as one JSON object.
    pub(super) fn print_json(&self) -> Result<(), Failure> {
        let json = Json {
            ok: self.is_well(),
            file: &self.file,
            verdict: self.verdict(),
            findings: self.sorted(),
            looked_at: &self.looked_at,
            not_looked_at: &self.left_out,
        };
        print(serde_json::to_string_pretty(&json).map_err(anyhow::Error::new)?)?;
        self.outcome()
    }

    fn text(&self, width: usize, palette: Palette) -> String {
        let mut lines = Vec::new();
        for finding in self.sorted() {
            let name = finding.severity.name();
            let style = match finding.severity {
                Severity::Error => palette.bad,
                Severity::Warning => palette.notable,
                Severity::Note => palette.heading,
            };
            let text = wrap(&format!("{name}: {}", finding.text), width);
            lines.push(match text.strip_prefix(name) {
                Some(rest) if !style.is_plain() => format!("{style}{name}{style:#}{rest}"),
                _ => text,
            });
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let looked_at = format!("looked at: {}", self.looked_at.join(", "));
        lines.push(wrap(&looked_at, width));
        for left_out in &self.left_out {
            lines.push(wrap(&format!("not looked at: {left_out}"), width));
        }
        let (verdict, style) = match self.is_well() {
            true => (self.verdict(), palette.good),
            false => (self.verdict(), palette.bad),
        };
        lines.push(match style.is_plain() {
            true => verdict,
            false => format!("{style}{verdict}{style:#}"),
        });
        lines.join("\n")
    }

    /// The most urgent first; else in the order in which they were found.
    fn sorted(&self) -> Vec<&Finding> {
        let mut sorted: Vec<&Finding> = self.findings.iter().collect();
        sorted.sort_by_key(|finding| (finding.severity, finding.source));
        sorted
    }

    fn count(&self, severity: Severity) -> usize {
        let of_it = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(of_it).count()
    }

    /// In one line.
    fn verdict(&self) -> String {
        let counted = |severity: Severity| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {}", severity.name())),
            count => Some(format!("{count} {}s", severity.name())),
        };
        let all = [Severity::Error, Severity::Warning, Severity::Note];
        let counts: Vec<String> = all.into_iter().filter_map(counted).collect();
        let counts = counts.join(", ");
        match (self.is_well(), counts.is_empty()) {
            (true, true) => "ok: nothing is wrong".to_owned(),
            (true, false) => format!("ok: nothing fails now; {counts}"),
            (false, _) => format!("not well: {counts}; begin with the first"),
        }
    }

    fn is_well(&self) -> bool {
        let warnings_count = self.strictness == Strictness::WarningsAreErrors;
        self.count(Severity::Error) == 0 && (self.count(Severity::Warning) == 0 || !warnings_count)
    }

    fn outcome(&self) -> Result<(), Failure> {
        match (self.configuration, self.is_well()) {
            (Configuration::Refused, _) => Err(Failure::Reported),
            (Configuration::Usable, false) => Err(Failure::Found),
            (Configuration::Usable, true) => Ok(()),
        }
    }
}

/// Of a line where there is no terminal, in characters.
const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::finding::Source;
    use super::*;

    fn finding(severity: Severity, source: Source, text: &str) -> Finding {
        Finding {
            severity,
            source,
            about: Vec::new(),
            text: text.to_owned(),
        }
    }

    fn report(strictness: Strictness, findings: Vec<Finding>) -> Report {
        let mut report = Report::new("lb.json".to_owned(), strictness);
        report.looked_at("the configuration".to_owned());
        report.extend(findings);
        report
    }

    #[test]
    fn the_most_urgent_comes_first_whatever_was_found_first() {
        let found = vec![
            finding(Severity::Note, Source::Balancer, "it is drained"),
            finding(Severity::Warning, Source::Configuration, "it is short"),
            finding(Severity::Error, Source::Comparison, "it is late"),
            finding(Severity::Error, Source::Balancer, "no usable replica"),
        ];
        let text = report(Strictness::Lenient, found).text(100, Palette::default());
        assert_eq!(
            text,
            "error: no usable replica\n\
             error: it is late\n\
             warning: it is short\n\
             note: it is drained\n\
             \n\
             looked at: the configuration\n\
             not well: 2 errors, 1 warning, 1 note; begin with the first"
        );
    }

    #[test]
    fn warnings_fail_only_where_they_are_taken_for_errors() {
        let warning = || vec![finding(Severity::Warning, Source::Probe, "soon")];
        let cases = [
            (Strictness::Lenient, Vec::new(), "ok: nothing is wrong"),
            (
                Strictness::WarningsAreErrors,
                Vec::new(),
                "ok: nothing is wrong",
            ),
            (
                Strictness::Lenient,
                warning(),
                "ok: nothing fails now; 1 warning",
            ),
            (
                Strictness::WarningsAreErrors,
                warning(),
                "not well: 1 warning; begin with the first",
            ),
        ];
        for (strictness, findings, expected) in cases {
            assert_eq!(report(strictness, findings).verdict(), expected);
        }
    }
}

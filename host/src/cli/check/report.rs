//! What `dtr-lb check` found, as lines or as JSON.

use dtr_lb::config::{ConfigErrors, ConfigFile, ConfigWarning};
use dtr_lb::survey::Survey;
use serde::Serialize;
use serde_json::Value;

use super::{probe, probe_report, summary};
use crate::cli::failure::Failure;
use crate::cli::log::Log;
use crate::cli::output::print;

/// What was found.
#[derive(Debug)]
pub(super) struct Report {
    /// Where the configuration came from.
    file: String,
    strictness: Strictness,
    summary: Option<(String, Value)>,
    /// What else went well.
    notes: Vec<String>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// `None`: the replicas were not asked.
    survey: Option<Survey>,
}

/// Whether a configuration with warnings is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    Lenient,
    WarningsAreErrors,
}

/// An error or a warning.
#[derive(Debug, Serialize)]
struct Problem {
    field: Option<String>,
    /// As JSON, cut to a bound.
    value: Option<String>,
    problem: String,
    /// All of it in one line.
    message: String,
}

/// The report as it is printed with `--json`.
#[derive(Serialize)]
struct Json<'a> {
    ok: bool,
    file: &'a str,
    errors: &'a [Problem],
    warnings: &'a [Problem],
    summary: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a Survey>,
}

impl Report {
    pub(super) fn new(file: String, strictness: Strictness) -> Report {
        Report {
            file,
            strictness,
            summary: None,
            notes: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            survey: None,
        }
    }

    /// The configuration can't be used.
    pub(super) fn refuse(&mut self, errors: &ConfigErrors) {
        let problem = |error: &dtr_lb::config::ConfigError| Problem {
            field: error.field.clone(),
            value: error.value.clone(),
            problem: error.problem.clone(),
            message: error.to_string(),
        };
        self.errors.extend(errors.iter().map(problem));
        for warning in errors.warnings() {
            self.warn(warning.clone());
        }
    }

    pub(super) fn summarize(&mut self, file: &ConfigFile) {
        self.summary = Some((summary::text(file), summary::json(file)));
    }

    pub(super) fn warn(&mut self, warning: ConfigWarning) {
        self.warnings.push(Problem {
            message: warning.to_string(),
            field: Some(warning.field),
            value: Some(warning.value),
            problem: warning.problem,
        });
    }

    /// Something else that is wrong.
    pub(super) fn error(&mut self, message: String) {
        self.errors.push(Problem {
            field: None,
            value: None,
            problem: message.clone(),
            message,
        });
    }

    /// A line for the summary.
    pub(super) fn note(&mut self, line: String) {
        self.notes.push(line);
    }

    /// What the replicas said.
    pub(super) fn survey(&mut self, survey: Survey) {
        self.survey = Some(survey);
    }

    /// The summary and what replicas said on standard output; errors and warnings on
    /// standard error.
    pub(super) fn print(&self, log: &Log) -> Result<(), Failure> {
        let notes: String = (self.notes.iter())
            .map(|line| format!("\n    {line}"))
            .collect();
        match &self.summary {
            Some((summary, _)) if self.is_right() => print(format_args!("{summary}{notes}"))?,
            _ => {
                let errors: Vec<String> = (self.errors.iter())
                    .map(|error| format!("error: {}", error.message))
                    .collect();
                if !errors.is_empty() {
                    log.print(&format!("{}{notes}", errors.join("\n")));
                }
            }
        }
        let kind = match self.strictness {
            Strictness::Lenient => "warning",
            Strictness::WarningsAreErrors => "error",
        };
        for warning in &self.warnings {
            log.print(&format!("{kind}: {}", warning.message));
        }
        if let Some(survey) = &self.survey {
            print(format_args!("\n{}", probe_report::text(survey)))?;
        }
        self.outcome()
    }

    /// Everything as one JSON object on standard output.
    pub(super) fn print_json(&self) -> Result<(), Failure> {
        let json = Json {
            ok: self.is_right() && self.survey.as_ref().is_none_or(Survey::is_well),
            file: &self.file,
            errors: &self.errors,
            warnings: &self.warnings,
            summary: self.summary.as_ref().map(|(_, json)| json),
            probe: self.survey.as_ref(),
        };
        let text = serde_json::to_string_pretty(&json).map_err(anyhow::Error::new)?;
        print(text)?;
        self.outcome()
    }

    fn outcome(&self) -> Result<(), Failure> {
        match (&self.survey, self.is_right()) {
            (_, false) => Err(Failure::Reported),
            (Some(survey), true) => probe::judge(survey),
            (None, true) => Ok(()),
        }
    }

    /// Whether the configuration can be used.
    pub(super) fn is_right(&self) -> bool {
        let warnings_count = self.strictness == Strictness::WarningsAreErrors;
        self.errors.is_empty() && (self.warnings.is_empty() || !warnings_count)
    }
}

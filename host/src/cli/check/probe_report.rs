//! What `dtr-lb check --probe` shows to people.

use dtr_lb::survey::{Survey, day};
use dtr_lb_filter::compare::Certificate;
use dtr_lb_filter::health::reason::Reason;
use dtr_lb_filter::health::verdict::Verdict;

use super::failing::{Checks, Failing};
use crate::cli::table::{Align, Table, wrap};

/// The table, what fails, and what differs.
pub(super) fn text(survey: &Survey) -> String {
    let certificates = Certificates::of(survey);
    let mut lines = table(survey, &certificates).lines(WIDTH);
    let mut section = |title: &str, texts: Vec<String>| {
        if !texts.is_empty() {
            lines.push(format!("\n{title}:"));
            lines.extend(texts.iter().map(|text| wrap(&format!("  {text}"), WIDTH)));
        }
    };
    section("certificates", certificates.legend());
    let failing = Failing::all(survey).into_iter();
    section("checks that fail", failing.map(|one| one.text).collect());
    let differ = survey.disagreements.iter().map(ToString::to_string);
    section("not alike, or not right", differ.collect());
    if survey.is_well() {
        let all = survey.replicas().len();
        lines.push(match all {
            1 => "\nok: the replica passes its checks".to_owned(),
            _ => format!("\nok: all {all} replicas pass their checks and agree"),
        });
    }
    lines.join("\n")
}

fn table(survey: &Survey, certificates: &Certificates<'_>) -> Table {
    let mut table = Table::new()
        .column("replica", Align::Left, 12)
        .column("address", Align::Left, 15)
        .column("port", Align::Right, 5)
        .column("check", Align::Left, 10)
        .column("tls", Align::Left, 3)
        .column("status", Align::Left, 6)
        .column("verdict", Align::Left, 9)
        .column("component", Align::Left, 9)
        .column("latency", Align::Right, 9)
        .column("error", Align::Left, 8);
    let checks = Checks::of(survey);
    for result in &survey.results {
        let failure = result.failure.as_ref().map(|it| &it.failure);
        let error = failure.map(|failure| match failure.reason {
            Reason::Status | Reason::SaysUnhealthy | Reason::BadBody => failure.text.clone(),
            other => other.name().to_owned(),
        });
        let component = failure.and_then(|failure| failure.component);
        let certificate = result.certificate.as_ref();
        let status = result.status.map(|status| status.to_string());
        table.row(vec![
            result.replica.clone(),
            result.address.clone(),
            result.port.to_string(),
            checks.name(result),
            certificate.map_or_else(String::new, |it| certificates.letter(it)),
            status.unwrap_or_else(|| "-".to_owned()),
            match result.verdict {
                Verdict::Healthy => "healthy".to_owned(),
                Verdict::Unhealthy => "unhealthy".to_owned(),
            },
            component.map_or_else(String::new, |it| it.name().to_owned()),
            format!("{} ms", result.latency_ms),
            error.unwrap_or_default(),
        ]);
    }
    table
}

/// The distinct certificates, each with a letter: there is no room for them in the table.
struct Certificates<'a>(Vec<&'a Certificate>);

impl<'a> Certificates<'a> {
    fn of(survey: &'a Survey) -> Certificates<'a> {
        let mut distinct: Vec<&Certificate> = Vec::new();
        for one in survey
            .results
            .iter()
            .filter_map(|it| it.certificate.as_ref())
        {
            if distinct.iter().all(|known| known.sha256 != one.sha256) {
                distinct.push(one);
            }
        }
        Certificates(distinct)
    }

    fn letter(&self, certificate: &Certificate) -> String {
        let is_it = |known: &&Certificate| known.sha256 == certificate.sha256;
        self.0
            .iter()
            .position(is_it)
            .map_or_else(String::new, letter)
    }

    fn legend(&self) -> Vec<String> {
        let lines = self.0.iter().enumerate();
        lines
            .map(|(at, one)| {
                format!(
                    "{}: for {}; signed by {}; until {}",
                    letter(at),
                    one.names_in_short(),
                    one.issuer,
                    day(one.not_after)
                )
            })
            .collect()
    }
}

/// A, B, ... Z, A1, B1 ...
fn letter(at: usize) -> String {
    let letter = ('A'..='Z').nth(at % 26).unwrap_or('A');
    match at / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

/// So wide is a line.
const WIDTH: usize = 100;

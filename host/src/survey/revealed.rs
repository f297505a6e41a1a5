//! What the answers of each place reveal, put together, and compared.

use dtr_lb_filter::compare::disagreement::Disagreement;
use dtr_lb_filter::compare::observation::{Observation, Observed};
use dtr_lb_filter::compare::{Certificate, compare};

use super::answer::unix_ms;
use super::outcome::Outcome;
use super::place::Place;
use super::question::Subject;

/// What the answers of one place reveal.
#[derive(Clone, Debug, Default)]
pub(super) struct Revealed {
    known: Observation,
    /// Nothing but how clients log in; its challenge is `None` where they need not.
    /// `None`: the replica did not say.
    login: Option<Observation>,
}

impl Revealed {
    /// Takes in what came of a question; what is known already stays.
    pub(super) fn take_in(&mut self, subject: Subject, outcome: &Outcome) {
        let answer = outcome.answer.as_ref();
        let seen = answer.map(|answer| answer.observation.clone());
        let mut seen = seen.unwrap_or_default();
        let certificate = outcome.cross_check.certificate().cloned();
        let Observation {
            clock_offset_ms,
            server,
            api_version,
            certificate: shown,
            ..
        } = &mut self.known;
        *clock_offset_ms = clock_offset_ms.or(seen.clock_offset_ms);
        *server = server.take().or(seen.server);
        *api_version = api_version.take().or(seen.api_version);
        *shown = shown.take().or(seen.certificate).or(certificate);
        if subject == Subject::Redirect {
            self.known.redirect = seen.redirect.take();
        }
    }

    /// Takes in the answer that says how clients log in.
    pub(super) fn take_in_login(&mut self, outcome: &Outcome) {
        let Some(answer) = &outcome.answer else {
            return;
        };
        // A replica in trouble does not get as far as to ask for a login.
        if answer.status().is_some_and(|status| status < 500) {
            self.login = Some(Observation {
                // A clock marks that it was asked at all.
                clock_offset_ms: Some(0),
                challenge: answer.observation.challenge.clone(),
                ..Observation::default()
            });
        }
    }

    /// What it shows in the TLS handshake, on whichever port.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        self.known.certificate.as_ref()
    }
}

/// What the places disagree about.
pub(super) fn disagreements(
    fqdn: &str,
    places: &[Place],
    revealed: &[Revealed],
) -> Vec<Disagreement> {
    let labelled = || places.iter().map(|place| place.label.as_str());
    let known: Vec<Observed<'_>> = labelled()
        .zip(revealed.iter().map(|one| &one.known))
        .collect();
    let logins: Vec<Observed<'_>> = labelled()
        .zip(revealed)
        .filter_map(|(label, one)| Some((label, one.login.as_ref()?)))
        .collect();
    let mut found = compare(fqdn, &known, unix_ms());
    found.extend(compare(fqdn, &logins, unix_ms()));
    found.sort_by_key(|one| one.subject);
    found
}

//! One round: every replica is asked once.

use std::rc::Rc;

use dtr_lb_filter::health::probe_failure::ProbeFailure;
use dtr_lb_filter::health::probe_response::ProbeResponse;
use dtr_lb_filter::health::verdict::Verdict;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::advice::Failed;
use super::answer::{Answer, unix_ms};
use super::check_result::{CheckFailure, CheckResult, Survey};
use super::cross_check::{CrossCheck, handshake};
use super::options::{Progress, SurveyOptions};
use super::outcome::Outcome;
use super::place::{self, Place};
use super::question::{self, Question, Request, Subject};
use super::revealed::{Revealed, disagreements};
use super::targets::Targets;
use crate::config::{Check, Config};
use crate::error::StartError;

/// Asks every replica once and compares what they say. `progress` is called after each
/// answer. Each request is given `health.timeout`, as a probe is.
///
/// # Errors
/// A CA file that can't be read. What is wrong with a replica is in the result.
pub async fn survey(
    config: &Config,
    options: &SurveyOptions,
    progress: impl FnMut(Progress),
) -> Result<Survey, StartError> {
    let places = place::all(config, options).await;
    let targets = Rc::new(Targets::of(config, &places, &options.lookup)?);
    let questions = question::all(config, &places);
    let asking = ask(&questions, &targets, options, progress);
    let outcomes = LocalSet::new().run_until(asking).await;

    let login = question::says_login(&questions);
    let mut revealed = vec![Revealed::default(); places.len()];
    let mut results = Vec::new();
    for (question, outcome) in questions.iter().zip(&outcomes) {
        let place = places.get(question.place);
        let check = match question.subject {
            Subject::Check(at) => config.checks.get(at),
            _ => None,
        };
        if let (Some(place), Some(check)) = (place, check) {
            results.push((question.place, result(config, place, check, outcome)));
        }
        if let Some(revealed) = revealed.get_mut(question.place) {
            revealed.take_in(question.subject, outcome);
            if Some(question.subject) == login {
                revealed.take_in_login(outcome);
            }
        }
    }
    let with_certificate = |(place, mut result): (usize, CheckResult)| {
        let elsewhere = revealed.get(place).and_then(Revealed::certificate);
        result.certificate = result.certificate.or_else(|| elsewhere.cloned());
        result
    };
    let results = results.into_iter().map(with_certificate).collect();
    Ok(Survey {
        fqdn: config.fqdn.clone(),
        results,
        disagreements: disagreements(&config.fqdn, &places, &revealed),
    })
}

/// What comes of each question, in their order.
async fn ask(
    questions: &[Question],
    targets: &Rc<Targets>,
    options: &SurveyOptions,
    mut progress: impl FnMut(Progress),
) -> Vec<Outcome> {
    let slots = Rc::new(Semaphore::new(options.at_once.max(1)));
    let mut asking = JoinSet::new();
    for (at, question) in questions.iter().cloned().enumerate() {
        let (slots, targets) = (Rc::clone(&slots), Rc::clone(targets));
        asking.spawn_local(async move {
            let _slot = slots.acquire().await;
            (at, outcome(&question, &targets).await)
        });
    }
    let mut outcomes = vec![Outcome::default(); questions.len()];
    let mut done = 0;
    while let Some(asked) = asking.join_next().await {
        // One that panicked stays without an answer.
        if let Ok((at, outcome)) = asked
            && let Some(place) = outcomes.get_mut(at)
        {
            *place = outcome;
        }
        done += 1;
        let all = questions.len();
        progress(Progress { done, all });
    }
    outcomes
}

async fn outcome(question: &Question, targets: &Targets) -> Outcome {
    let Request::Http(kind) = &question.request else {
        let read = handshake(question, targets).await;
        let certificate = read.flatten().map(|(certificate, _)| certificate);
        return Outcome {
            answer: None,
            cross_check: CrossCheck::SpeaksTls(certificate),
        };
    };
    let Some(to) = targets.endpoint(question.place, question.port, &question.through) else {
        return Outcome::default();
    };
    let answer = Answer::to(kind, &targets.fqdn, to, targets.limit).await;
    let cross_check = match (question.subject, answer.response.judge(kind)) {
        (Subject::Check(_), Err(failure)) => {
            CrossCheck::of(&failure, answer.status(), question, targets).await
        }
        _ => CrossCheck::Nothing,
    };
    Outcome {
        answer: Some(answer),
        cross_check,
    }
}

fn result(config: &Config, place: &Place, check: &Check, outcome: &Outcome) -> CheckResult {
    let none = ProbeResponse::none();
    let answer = outcome.answer.as_ref();
    let response = answer.map_or(&none, |answer| &answer.response);
    let replica = config.replicas.get(place.replica);
    let port = replica.map_or(check.port, |replica| replica.port(check.port));
    let status = answer.and_then(Answer::status);
    let advised = |failure: ProbeFailure| {
        let failed = Failed {
            failure: &failure,
            cross_check: &outcome.cross_check,
            status,
            check,
            port,
            fqdn: &config.fqdn,
            timeout: config.health.timeout,
            unresolved: place.unresolved.as_deref(),
            unix_seconds: i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX),
        };
        let advice = failed.advice();
        CheckFailure { failure, advice }
    };
    let failure = response.judge(&check.kind).err().map(advised);
    let shown = answer.and_then(|answer| answer.observation.certificate.clone());
    CheckResult {
        replica: replica.map_or_else(String::new, |replica| replica.name.clone()),
        address: place.address.to_string(),
        port,
        check: check.name.clone(),
        verdict: match failure {
            None => Verdict::Healthy,
            Some(_) => Verdict::Unhealthy,
        },
        status,
        latency_ms: answer.map_or(0, |answer| {
            u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX)
        }),
        failure,
        certificate: shown.or_else(|| outcome.cross_check.certificate().cloned()),
    }
}

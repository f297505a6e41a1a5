//! What is asked of the replicas.

use dtr_lb_filter::config::CheckKind;

use super::place::Place;
use super::targets::Through;
use crate::config::{Check, Config};

/// One question, to one replica at one address.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The place among all places.
    pub(super) place: usize,
    pub(super) subject: Subject,
    /// The service's port.
    pub(super) port: u16,
    pub(super) through: Through,
    pub(super) request: Request,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Whether the replica passes the check of this place among the checks.
    Check(usize),
    /// How clients log in.
    Login,
    /// Where plain HTTP leads.
    Redirect,
    /// What certificate clients are shown.
    Certificate,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// What a check sends.
    Http(CheckKind),
    /// Nothing: the TLS handshake is all.
    Handshake,
}

/// All questions to all places.
pub(super) fn all(config: &Config, places: &[Place]) -> Vec<Question> {
    let asked = asked_of_each(config);
    let to_each = |place: usize| {
        asked.iter().map(move |question| Question {
            place,
            ..question.clone()
        })
    };
    (0..places.len()).flat_map(to_each).collect()
}

/// Which question's answer says how clients log in: the one that asks for it, or else
/// the first check over HTTP.
pub(super) fn says_login(questions: &[Question]) -> Option<Subject> {
    let asks = |question: &&Question| question.subject == Subject::Login;
    let is_http = |question: &&Question| {
        matches!(question.subject, Subject::Check(_))
            && matches!(question.request, Request::Http(CheckKind::Http { .. }))
    };
    let login = questions.iter().find(asks);
    let login = login.or_else(|| questions.iter().find(is_http));
    login.map(|question| question.subject)
}

fn asked_of_each(config: &Config) -> Vec<Question> {
    let mut questions: Vec<Question> = (config.checks.iter().enumerate())
        .map(|(at, check)| Question {
            place: 0,
            subject: Subject::Check(at),
            port: check.port,
            through: Through::Check(check.name.clone()),
            request: Request::Http(check.kind.clone()),
        })
        .collect();
    let serves = |port| config.listeners.iter().any(|one| one.port == port);
    let login = config.checks.iter().find_map(|check| check.login_path);
    let is_http = |check: &&Check| matches!(check.kind, CheckKind::Http { .. });
    let in_tls = config.checks.iter().find(|check| check.tls.is_some());
    let in_the_clear = config.checks.iter().find(is_http);
    let question = |subject, port, through, request| Question {
        place: 0,
        subject,
        port,
        through,
        request,
    };
    let get_over = |scheme: &str, path| Request::Http(get(scheme, path));
    // What clients are shown who come to 443, though no check looks there.
    let is_unseen = serves(HTTPS) && in_tls.is_none();
    match (login, in_tls, in_the_clear) {
        (Some(path), Some(check), _) => {
            let through = Through::Check(check.name.clone());
            let request = get_over("https", path);
            questions.push(question(Subject::Login, check.port, through, request));
        }
        (Some(path), None, _) if is_unseen => {
            let request = get_over("https", path);
            questions.push(question(Subject::Login, HTTPS, Through::AnyTls, request));
        }
        (Some(path), None, Some(check)) => {
            let through = Through::Check(check.name.clone());
            let request = get_over("http", path);
            questions.push(question(Subject::Login, check.port, through, request));
        }
        _ if is_unseen => {
            let (subject, request) = (Subject::Certificate, Request::Handshake);
            questions.push(question(subject, HTTPS, Through::AnyTls, request));
        }
        _ => {}
    }
    if serves(HTTP) {
        let request = get_over("http", login.unwrap_or("/"));
        questions.push(question(Subject::Redirect, HTTP, Through::Clear, request));
    }
    questions
}

/// A request without the headers of a check: what a client sends who is not logged in.
pub(super) fn get(scheme: &str, path: &str) -> CheckKind {
    CheckKind::Http {
        scheme: scheme.to_owned(),
        path: path.to_owned(),
        statuses: Vec::new(),
        headers: Vec::new(),
        body: None,
    }
}

const HTTP: u16 = 80;
const HTTPS: u16 = 443;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn what_is_asked_follows_from_checks_and_listeners() {
        let cases = [
            (
                "a registry over TLS",
                r#"{}"#,
                vec![
                    "Check(0) https:443/_ping",
                    "Login https:443/v2/",
                    "Redirect http:80/v2/",
                ],
            ),
            (
                "checked in the clear, passed through on 443",
                r#"{ "target": "http:80/_ping" }"#,
                vec![
                    "Check(0) http:80/_ping",
                    "Login https:443/v2/",
                    "Redirect http:80/v2/",
                ],
            ),
            (
                "no registry: the certificate alone",
                r#"{ "preset": "http" }"#,
                vec!["Check(0) http:80/", "Certificate 443", "Redirect http:80/"],
            ),
            (
                "no registry, over TLS",
                r#"{ "preset": "gitlab" }"#,
                vec!["Check(0) https:443/-/readiness?all=1", "Redirect http:80/"],
            ),
            (
                "whether a port is open",
                r#"{ "preset": "tcp" }"#,
                vec!["Check(0) 443", "Certificate 443", "Redirect http:80/"],
            ),
        ];
        for (why, health, expected) in cases {
            let text = format!(
                r#"{{ "fqdn": "dtr.example.com", "replicas": [{{ "address": "10.0.0.1" }}], "health": {health} }}"#
            );
            let config = Config::parse(&text, "lb.json").unwrap();
            let asked: Vec<String> = asked_of_each(&config).iter().map(shown).collect();
            assert_eq!(asked, expected, "{why}");
        }
    }

    fn shown(question: &Question) -> String {
        let Question { subject, port, .. } = question;
        match &question.request {
            Request::Http(CheckKind::Http { scheme, path, .. }) => {
                format!("{subject:?} {scheme}:{port}{path}")
            }
            _ => format!("{subject:?} {port}"),
        }
    }
}

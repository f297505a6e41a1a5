use super::*;
use crate::health::reason::Component;
use crate::printable::TEXT_LIMIT;
use serde_json::{Value, json};

fn http(body: Option<BodyCheck>) -> CheckKind {
    CheckKind::Http {
        scheme: "https".to_owned(),
        path: "/_ping".to_owned(),
        statuses: vec![(200, 200), (401, 401)],
        headers: Vec::new(),
        body,
    }
}

fn replica(status: u16, body: impl Into<Vec<u8>>) -> ProbeResponse {
    ProbeResponse {
        status,
        source: ReplySource::Replica,
        body: body.into(),
    }
}

fn reason(kind: &CheckKind, response: &ProbeResponse) -> Option<Reason> {
    response.judge(kind).err().map(|failure| failure.reason)
}

#[test]
fn status_and_body_decide() {
    let bad = Some(Reason::SaysUnhealthy);
    let cases: [(&str, u16, &str, Option<Reason>); 24] = [
        (
            "the seed's healthy answer",
            200,
            r#"{"Error":"","Healthy":true}"#,
            None,
        ),
        (
            "the seed's sick answer",
            503,
            r#"{"Error":"garant: down","Healthy":false}"#,
            Some(Reason::Status),
        ),
        (
            "200 that says otherwise",
            200,
            r#"{"Error":"x","Healthy":false}"#,
            bad,
        ),
        (
            "503 that says healthy",
            503,
            r#"{"Healthy":true}"#,
            Some(Reason::Status),
        ),
        ("the old key", 200, r#"{"Health":true}"#, None),
        ("the old key, sick", 200, r#"{"Health":false}"#, bad),
        ("a word", 200, r#"{"status":"healthy"}"#, None),
        ("a word in capitals", 200, r#"{"status":"OK"}"#, None),
        (
            "Harbor's sick answer",
            200,
            r#"{"status":"unhealthy"}"#,
            bad,
        ),
        ("a word nobody knows", 200, r#"{"status":"degraded"}"#, bad),
        ("a status as number", 200, r#"{"status":200}"#, None),
        ("a bad status as number", 200, r#"{"status":503}"#, bad),
        ("null says nothing", 200, r#"{"Healthy":null}"#, None),
        (
            "another accepted status",
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#,
            None,
        ),
        ("a redirect is not accepted", 302, "", Some(Reason::Status)),
        ("no body", 200, "", None),
        ("not JSON", 200, "OK", None),
        ("an HTML page", 200, "<html>Healthy: false</html>", None),
        (
            "JSON of another shape",
            200,
            r#"[1,2,{"Healthy":false}]"#,
            None,
        ),
        ("a bare false", 200, "false", None),
        ("cut JSON", 200, r#"{"Healthy":fal"#, None),
        ("an empty object", 200, "{}", None),
        (
            "a key twice: the last counts",
            200,
            r#"{"Healthy":true,"Healthy":false}"#,
            bad,
        ),
        ("no status", 0, "", Some(Reason::Status)),
    ];
    for (why, status, body, expected) in cases {
        assert_eq!(
            reason(&http(None), &replica(status, body)),
            expected,
            "{why}: {status} {body}"
        );
    }
}

#[test]
fn strange_bodies_break_nothing() {
    let deep = "[".repeat(30_000);
    let bodies: [(&str, Vec<u8>); 5] = [
        ("not UTF-8", vec![0xff, 0xfe, 0x00, 0x80]),
        ("compressed", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
        ("huge", vec![b'x'; BODY_LIMIT]),
        ("deep", deep.into_bytes()),
        ("a long number", vec![b'9'; 20_000]),
    ];
    for (why, body) in bodies {
        assert_eq!(
            reason(&http(None), &replica(200, body.clone())),
            None,
            "{why}: the status decides"
        );
        let failure = replica(503, body.clone()).judge(&http(None)).unwrap_err();
        assert_eq!(failure.reason, Reason::Status, "{why}");
        assert!(
            failure.text.chars().count() <= TEXT_LIMIT + 1,
            "{why}: {}",
            failure.text
        );
        let pointer = BodyCheck {
            pointer: "/status".to_owned(),
            healthy: json!("ok"),
        };
        let expected = Some(Reason::BadBody);
        assert_eq!(
            reason(&http(Some(pointer)), &replica(200, body)),
            expected,
            "{why}: a required value is missing"
        );
    }
}

#[test]
fn a_pointer_leads_to_the_value_that_counts() {
    let check = |pointer: &str, healthy: Value| {
        http(Some(BodyCheck {
            pointer: pointer.to_owned(),
            healthy,
        }))
    };
    let harbor = check("/status", json!("healthy"));
    let nested = check("/data/services/0/up", json!(true));
    let cases = [
        (&harbor, r#"{"status":"healthy","components":[]}"#, None),
        (
            &harbor,
            r#"{"status":"unhealthy"}"#,
            Some(Reason::SaysUnhealthy),
        ),
        (&harbor, r#"{"state":"healthy"}"#, Some(Reason::BadBody)),
        (&harbor, "healthy", Some(Reason::BadBody)),
        (&nested, r#"{"data":{"services":[{"up":true}]}}"#, None),
        (
            &nested,
            r#"{"data":{"services":[{"up":1}]}}"#,
            Some(Reason::SaysUnhealthy),
        ),
        (
            &nested,
            r#"{"Healthy":false,"data":{"services":[{"up":true}]}}"#,
            None,
        ),
    ];
    for (kind, body, expected) in cases {
        assert_eq!(reason(kind, &replica(200, body)), expected, "{body}");
    }
}

#[test]
fn the_error_text_is_kept_and_its_component_named() {
    let sick = replica(
        503,
        r#"{"Error":"rethinkdb: no\nprimary \u202e for \u0000 table","Healthy":false}"#,
    );
    let failure = sick.judge(&http(None)).unwrap_err();
    assert_eq!(failure.component, Some(Component::Rethinkdb));
    assert_eq!(
        failure.text,
        r"rethinkdb: no\u{a}primary \u{202e} for \u{0} table"
    );

    let long = json!({ "Error": "ä".repeat(600) }).to_string();
    let failure = replica(503, long).judge(&http(None)).unwrap_err();
    assert_eq!(
        failure.text.chars().count(),
        TEXT_LIMIT + 1,
        "cut on a character, and it shows"
    );
}

#[test]
fn who_answers_matters() {
    let proxy = |status| ProbeResponse {
        status,
        ..ProbeResponse::none()
    };
    let cases = [
        (
            "200 of the proxy",
            http(None),
            proxy(200),
            Some(Reason::ProxyError),
        ),
        ("no answer", http(None), proxy(0), Some(Reason::Reset)),
        ("a timeout", http(None), proxy(504), Some(Reason::Timeout)),
        (
            "any answer of a replica is a connection",
            CheckKind::Tcp,
            replica(500, ""),
            None,
        ),
        (
            "and so is silence after it",
            CheckKind::Tcp,
            proxy(504),
            None,
        ),
    ];
    for (why, kind, response, expected) in cases {
        assert_eq!(reason(&kind, &response), expected, "{why}");
    }
}

//! What the admin listener answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use dtr_lb_filter::admin::http::{BODY_LIMIT, Request, Response};
use dtr_lb_filter::config::{Config, Protect};
use dtr_lb_filter::contract::LogFields;
use dtr_lb_filter::effect::Level;
use serde_json::Value;
use world::{Does, World, sample_config};

fn request(method: &str, path: &str) -> Request {
    let headers = [
        (":authority", "127.0.0.1:8181"),
        ("content-type", "application/json"),
    ];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        client: CLIENT.to_owned(),
        body: Vec::new(),
    }
}

const CLIENT: &str = "10.0.0.9:40000";

fn put(path: &str, body: &str) -> Request {
    Request {
        body: body.as_bytes().to_vec(),
        ..request("PUT", path)
    }
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn ping_speaks_the_registrys_own_form() {
    let mut world = World::settled(sample_config(2), 2);
    for vm in 0..2 {
        let well = world.answer(vm, &request("GET", "/_ping"));
        assert_eq!(
            (well.status, well.body.as_slice()),
            (200, br#"{"Error":"","Healthy":true}"#.as_slice())
        );
    }
    world.does = vec![Does::Sick; 2];
    world.pass(2000);
    for vm in 0..2 {
        let sick = world.answer(vm, &request("GET", "/_ping"));
        assert_eq!(sick.status, 503);
        assert_eq!(body(&sick)["Healthy"], false);
        let error = body(&sick)["Error"].as_str().unwrap().to_owned();
        assert!(error.contains("garant: no answer"), "VM {vm}: {error}");
    }
    let mut config = sample_config(3);
    config.min_healthy = 3;
    let mut world = World::settled(config, 1);
    assert_eq!(world.answer(0, &request("GET", "/_ping")).status, 200);
    world.does[0] = Does::Refuse;
    world.pass(2000);
    assert_eq!(
        world.answer(0, &request("GET", "/_ping")).status,
        503,
        "two are not three"
    );
}

#[test]
fn each_path_has_its_methods() {
    let mut world = World::settled(sample_config(1), 1);
    let cases = [
        ("GET", "/", 200, None),
        ("GET", "/?refresh", 200, None),
        ("GET", "/status", 200, None),
        ("GET", "/status?x=1", 200, None),
        ("HEAD", "/_ping", 200, None),
        ("POST", "/_ping", 405, Some("GET, HEAD")),
        ("DELETE", "/status", 405, Some("GET, HEAD")),
        ("GET", "/replicas/r1", 405, Some("PUT")),
        ("POST", "/replicas/r1", 405, Some("PUT")),
        ("GET", "/nothing", 404, None),
        ("PUT", "/replicas", 404, None),
        ("GET", "", 404, None),
    ];
    for (method, path, status, allow) in cases {
        let response = world.answer(0, &request(method, path));
        let allowed = response.headers.iter().find(|(name, _)| *name == "allow");
        let allowed = allowed.map(|(_, value)| value.as_str());
        assert_eq!(
            (response.status, allowed),
            (status, allow),
            "{method} {path}"
        );
        if status >= 400 {
            assert!(body(&response)["error"].is_string(), "{method} {path}");
        } else {
            // To HEAD it is the host that leaves the body out.
            assert!(!response.body.is_empty(), "{method} {path}");
        }
    }
}

#[test]
fn a_change_is_made_or_refused_with_the_reason() {
    let long = format!("{{\"state\": \"{}\"}}", "x".repeat(BODY_LIMIT));
    let too_much = "ü".repeat(257);
    let too_much = format!("{{\"state\": \"drain\", \"comment\": \"{too_much}\"}}");
    let cases = [
        (
            "drain",
            put("/replicas/r1", r#"{"state": "drain"}"#),
            200,
            "drain",
        ),
        (
            "maintenance",
            put("/replicas/r1", r#"{"state": "maintenance"}"#),
            200,
            "maintenance",
        ),
        (
            "ready",
            put("/replicas/r1", r#"{"state": "ready"}"#),
            200,
            "healthy",
        ),
        (
            "no such replica",
            put("/replicas/r9", r#"{"state": "drain"}"#),
            404,
            "healthy",
        ),
        (
            "no name",
            put("/replicas/", r#"{"state": "drain"}"#),
            404,
            "healthy",
        ),
        (
            "a hostile name",
            put("/replicas/<script>\u{202e}", r#"{"state": "drain"}"#),
            404,
            "healthy",
        ),
        (
            "no such state",
            put("/replicas/r1", r#"{"state": "up"}"#),
            400,
            "healthy",
        ),
        (
            "another field",
            put("/replicas/r1", r#"{"state": "drain", "x": 1}"#),
            400,
            "healthy",
        ),
        (
            "with a comment",
            put(
                "/replicas/r1",
                r#"{"state": "drain", "comment": "a new disk"}"#,
            ),
            200,
            "drain",
        ),
        (
            "a comment of two lines",
            put("/replicas/r1", r#"{"state": "drain", "comment": "a\nb"}"#),
            400,
            "healthy",
        ),
        (
            "a comment that is too long",
            put("/replicas/r1", &too_much),
            400,
            "healthy",
        ),
        ("no state", put("/replicas/r1", "{}"), 400, "healthy"),
        (
            "two states",
            put("/replicas/r1", r#"{"state":"drain","state":"ready"}"#),
            400,
            "healthy",
        ),
        (
            "two states in the query",
            put("/replicas/r1?state=drain&state=ready", ""),
            400,
            "healthy",
        ),
        (
            "a list",
            put("/replicas/r1", r#"["drain"]"#),
            400,
            "healthy",
        ),
        (
            "no JSON",
            put("/replicas/r1", "state=drain"),
            400,
            "healthy",
        ),
        ("no body", put("/replicas/r1", ""), 400, "healthy"),
        ("too long", put("/replicas/r1", &long), 413, "healthy"),
    ];
    for (why, request, status, state) in cases {
        let mut world = World::settled(sample_config(2), 1);
        let response = world.answer(0, &request);
        assert_eq!(
            response.status,
            status,
            "{why}: {:?}",
            String::from_utf8_lossy(&response.body)
        );
        assert_eq!(world.state(0, 0), state, "{why}");
        assert!(body(&response).is_object(), "{why}");
    }
}

#[test]
fn a_comment_is_shown_while_its_order_holds() {
    let mut world = World::settled(sample_config(1), 2);
    let shown = |world: &mut World| world.status(1)["replicas"][0]["comment"].clone();
    let cases = [
        (
            r#"{"state": "drain", "comment": "a new disk"}"#,
            "a new disk",
        ),
        (r#"{"state": "drain"}"#, "a new disk"),
        (r#"{"state": "maintenance"}"#, ""),
        (
            r#"{"state": "drain", "comment": "\u202edone"}"#,
            "\u{202e}done",
        ),
        (r#"{"state": "ready", "comment": "done"}"#, ""),
    ];
    for (change, expected) in cases {
        let changed = world.answer(0, &put("/replicas/r1", change));
        assert_eq!(changed.status, 200, "{change}");
        world.refresh(1);
        assert_eq!(shown(&mut world), expected, "{change}");
    }
    let logged = world.log.iter();
    let logged = logged.map(|(_, line)| LogFields::split(line).0);
    let of_operator = logged.filter(|text| text.contains("by order of the operator"));
    let of_operator: Vec<&str> = of_operator.collect();
    let ends = [(0, ": a new disk"), (3, ": \\u{202e}done"), (4, ": done")];
    for (nth, end) in ends {
        assert!(of_operator[nth].ends_with(end), "{of_operator:?}");
    }
}

#[test]
fn all_but_the_balancers_own_health_may_need_the_token() {
    let config = Config {
        admin: dtr_lb_filter::config::Admin {
            token: Some("s3cret".to_owned()),
            loopback: true,
            protect: Protect::All,
        },
        ..sample_config(1)
    };
    let mut world = World::settled(config, 1);
    for (path, expected) in [
        ("/", 401),
        ("/status", 401),
        ("/nothing", 401),
        ("/_ping", 200),
    ] {
        let mut asked = request("GET", path);
        assert_eq!(world.answer(0, &asked).status, expected, "{path}");
        asked.headers.push((
            "authorization".to_owned(),
            // any:s3cret
            "Basic YW55OnMzY3JldA==".to_owned(),
        ));
        let with_token = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(world.answer(0, &asked).status, with_token, "{path}");
    }
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let mut world = World::settled(sample_config(1), 1);
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let mut form = put("/replicas/r1", r#"{"state": "drain"}"#);
        form.headers[1].1 = kind.to_owned();
        assert_eq!(world.answer(0, &form).status, 415, "{kind:?}");
    }
    let mut rebound = put("/replicas/r1", r#"{"state": "drain"}"#);
    rebound.headers[0].1 = "evil.example.com".to_owned();
    assert_eq!(world.answer(0, &rebound).status, 403);
    let mut cross = put("/replicas/r1", r#"{"state": "drain"}"#);
    cross
        .headers
        .push(("origin".to_owned(), "https://evil.example.com".to_owned()));
    assert_eq!(world.answer(0, &cross).status, 403);
    assert_eq!(world.state(0, 0), "healthy");
}

#[test]
fn a_token_is_needed_where_one_is_configured() {
    let config = Config {
        admin: dtr_lb_filter::config::Admin {
            token: Some("s3cret".to_owned()),
            loopback: false,
            protect: Protect::Changes,
        },
        ..sample_config(1)
    };
    let mut world = World::settled(config, 1);
    let stranger = put("/replicas/r9", r#"{"state": "drain"}"#);
    let response = world.answer(0, &stranger);
    assert_eq!(
        response.status, 401,
        "strangers do not learn which replicas there are"
    );
    assert!(
        response
            .headers
            .contains(&("www-authenticate", "Bearer".to_owned()))
    );
    assert_eq!(
        world.answer(0, &request("GET", "/status")).status,
        200,
        "reading needs none"
    );
    let mut known = put("/replicas/r1", r#"{"state": "drain"}"#);
    known
        .headers
        .push(("authorization".to_owned(), "Bearer s3cret".to_owned()));
    assert_eq!(world.answer(0, &known).status, 200);
    assert_eq!(world.state(0, 0), "drain");
    let shown = String::from_utf8(world.answer(0, &request("GET", "/status")).body).unwrap();
    assert!(!shown.contains("s3cret"), "the token is not shown");
}

/// The lines of the log after the first few: texts, reasons and clients.
fn logged(world: &World, before: usize) -> Vec<(Level, String)> {
    let lines = world.log.iter().skip(before);
    lines
        .map(|(level, line)| (*level, line.replace('\t', " ")))
        .collect()
}

#[test]
fn the_log_says_who_ordered_what_and_who_was_refused_it() {
    let mut config = sample_config(2);
    config.admin.token = Some("secret".to_owned());
    let mut world = World::settled(config, 1);
    let before = world.log.len();
    let with_token = |token: &str, path: &str| {
        let mut request = put(path, r#"{"state": "drain", "comment": "a new disk"}"#);
        let header = ("authorization".to_owned(), format!("Bearer {token}"));
        request.headers.push(header);
        request
    };
    for (token, path, status) in [
        ("secret", "/replicas/r1", 200),
        ("s3cret", "/replicas/r1?token=s3cret", 401),
        ("secret", "/replicas/r9\n", 404),
        ("secret", "/replicas/r2?state=gone", 400),
        ("secret", "/status", 405),
    ] {
        let response = world.answer(0, &with_token(token, path));
        assert_eq!(response.status, status, "{path}");
    }
    let reads = world.answer(0, &request("GET", "/replicas/r1"));
    assert_eq!(reads.status, 405);
    let from = r#"client="10.0.0.9:40000""#;
    let refused = |path, status, reason| {
        let text = format!("PUT {path} is refused: {status}, {reason} reason=\"{reason}\" {from}");
        (Level::Warn, text)
    };
    let order = format!(
        "replica \"r1\": drain, by order of the operator: a new disk replica=\"r1\" \
         address=\"r1.internal\" {from}"
    );
    let expected = [
        (Level::Info, order),
        refused("/replicas/r1", 401, "unauthorized"),
        refused("/replicas/r9\\u{a}", 404, "not-found"),
        refused("/replicas/r2", 400, "malformed"),
        refused("/status", 405, "malformed"),
    ];
    assert_eq!(logged(&world, before), expected);
}

#[test]
fn who_tries_one_token_after_the_other_does_not_fill_the_log() {
    let mut config = sample_config(2);
    config.admin.token = Some("secret".to_owned());
    let mut world = World::settled(config, 1);
    let before = world.log.len();
    for _ in 0..500 {
        world.answer(0, &put("/replicas/r1", ""));
    }
    assert_eq!(logged(&world, before).len(), 10);
    world.pass(60_000);
    let before = world.log.len();
    world.answer(0, &put("/replicas/r1", ""));
    let [(Level::Warn, line)] = &logged(&world, before)[..] else {
        panic!("{:#?}", world.log);
    };
    assert!(
        line.contains("; 490 more before it are not logged "),
        "{line}"
    );
}

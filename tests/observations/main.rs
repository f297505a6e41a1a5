//! The small filters of `guests/` play each scene in the testkit, on a real Envoy
//! and, the network filters, on the standalone host, and must tell the same of it: what the guest logs after each act, and
//! what the client is answered.
#![allow(
    clippy::unwrap_used,
    reason = "what can't happen fails the scene that met it"
)]

mod ends;
mod envoy;
mod host;
mod kit;
mod upstream;

/// What a scene needs: a guest, its configuration, and what is behind the proxy.
#[derive(Clone, Copy)]
struct Setting {
    guest: &'static str,
    configuration: &'static str,
    protocol: Protocol,
    /// Beside `default`, which accepts all and answers `hi`.
    clusters: &'static [(&'static str, Behaviour)],
}

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Tcp,
    Http,
}

/// What a cluster does.
#[derive(Clone, Copy)]
enum Behaviour {
    Accepts,
    Answers(u16, &'static str),
    Refuses,
    /// Closes in the midst of its answer.
    BreaksOff,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A client connects.
    Connects,
    /// The client sends bytes.
    Sends(&'static str),
    /// The client sends no more.
    Ends,
    /// The upstream sends bytes.
    Gives(&'static str),
    /// The upstream sends no more.
    Closes,
    /// A client asks for a path, with headers and no body.
    Asks(&'static str, &'static [(&'static str, &'static str)]),
    /// A client begins to post to a path.
    Posts(&'static str),
    /// A piece of the body.
    Body(&'static str),
    /// The end of the body.
    BodyEnds,
    /// The end of the body, with trailers.
    Trailers(&'static str, &'static str),
    /// The client's answer: status and body.
    IsAnswered(u16, &'static str),
    /// A header of the client's answer.
    HasHeader(&'static str, &'static str),
}

/// Plays acts.
trait Stage {
    fn play(&mut self, act: Act);
    /// What the guest logged so far.
    fn logs(&self) -> Vec<String>;
    /// Waits until the guest has logged so many lines, or for long enough.
    fn wait_for(&mut self, lines: usize);
}

use Act::*;

fn same(setting: Setting, acts: &[Act]) {
    let mut kit = kit::Kit::open(setting);
    let mut proxies: Vec<(&str, Box<dyn Stage>)> =
        vec![("Envoy", Box::new(envoy::Envoy::open(setting)))];
    if setting.protocol == Protocol::Tcp {
        // It carries network filters.
        proxies.push(("the host", Box::new(host::Host::open(setting))));
    }
    // What is logged while starting: by one VM here, by several there.
    let here = kit.logs().len();
    let there: Vec<usize> = proxies
        .iter()
        .map(|(_, proxy)| proxy.logs().len())
        .collect();
    for act in acts {
        kit.play(*act);
        let expected = normal(&kit.logs()[here..]);
        for ((name, proxy), there) in proxies.iter_mut().zip(&there) {
            proxy.play(*act);
            proxy.wait_for(there + expected.len());
            let seen = normal(&proxy.logs()[*there..]);
            assert_eq!(
                expected, seen,
                "testkit (left) and {name} differ after {act:?}"
            );
        }
    }
}

/// Without what no two requests have in common.
fn normal(lines: &[String]) -> Vec<String> {
    let lines = lines.iter().map(|line| match line.split_once(": ") {
        Some(("x-request-id", _)) => "x-request-id: ...".to_owned(),
        _ => line.clone(),
    });
    lines.collect()
}

fn tcp(guest: &'static str, clusters: &'static [(&'static str, Behaviour)]) -> Setting {
    Setting {
        guest,
        configuration: "",
        protocol: Protocol::Tcp,
        clusters,
    }
}

fn http(guest: &'static str, clusters: &'static [(&'static str, Behaviour)]) -> Setting {
    Setting {
        protocol: Protocol::Http,
        ..tcp(guest, clusters)
    }
}

#[test]
fn lines_and_the_client_ends_first() {
    let acts = [
        Connects,
        Sends("hel"),
        Sends("lo\n"),
        Gives("ok"),
        Ends,
        Closes,
    ];
    same(tcp("tcp_lines", &[]), &acts);
}

#[test]
fn lines_and_the_upstream_ends_first() {
    same(
        tcp("tcp_lines", &[]),
        &[Connects, Sends("a\n"), Gives("b"), Closes, Ends],
    );
}

#[test]
fn a_filter_closes_the_connection() {
    same(tcp("tcp_lines", &[]), &[Connects, Sends("quit")]);
}

#[test]
fn a_filter_steers_and_learns_what_came_of_it() {
    let well = Setting {
        configuration: "well",
        ..tcp("tcp_steer", &[("well", Behaviour::Accepts)])
    };
    same(well, &[Connects, Sends("hello"), Closes, Ends]);
    let dead = Setting {
        configuration: "dead",
        ..tcp("tcp_steer", &[("dead", Behaviour::Refuses)])
    };
    same(dead, &[Connects]);
}

#[test]
fn a_held_connection_is_kept_out() {
    same(
        tcp("tcp_gate", &[("gate", Behaviour::Answers(403, "no"))]),
        &[Connects],
    );
    same(
        tcp("tcp_gate", &[("gate", Behaviour::Refuses)]),
        &[Connects],
    );
}

#[test]
fn headers() {
    let headers = &[
        ("x-many", "one"),
        ("x-replace", "old"),
        ("x-remove", "gone"),
    ];
    let acts = [
        Asks("/page", headers),
        IsAnswered(200, "hi"),
        HasHeader("x-filter", "seen"),
    ];
    same(http("http_headers", &[]), &acts);
}

#[test]
fn headers_of_a_made_up_answer() {
    let refused = "upstream connect error or disconnect/reset before headers. reset reason: remote \
                   connection failure";
    same(
        http("http_headers", &[("default", Behaviour::Refuses)]),
        &[
            Asks("/", &[]),
            IsAnswered(503, refused),
            HasHeader("x-filter", "seen"),
        ],
    );
}

#[test]
fn bodies() {
    let acts = [
        Posts("/"),
        Body("hello"),
        Body("world"),
        BodyEnds,
        IsAnswered(200, "[1]hi"),
    ];
    same(http("http_body", &[]), &acts);
}

#[test]
fn trailers() {
    let acts = [
        Posts("/"),
        Body("held"),
        Trailers("sum", "1"),
        IsAnswered(200, "hi"),
    ];
    same(http("http_trailers", &[]), &acts);
}

#[test]
fn a_filter_answers_by_itself() {
    same(
        http("http_local", &[]),
        &[
            Asks("/teapot", &[]),
            IsAnswered(418, "short and stout"),
            HasHeader("x-pot", "tea"),
            Asks("/late", &[]),
            IsAnswered(502, "changed my mind"),
            Asks("/", &[]),
            IsAnswered(200, "hi"),
        ],
    );
}

#[test]
fn calls() {
    let cases = [
        (&[("auth", Behaviour::Answers(200, "alice"))], 200, "hi"),
        (&[("auth", Behaviour::Answers(401, "no"))], 403, "denied"),
        (&[("auth", Behaviour::Refuses)], 403, "no answer"),
    ];
    for (clusters, status, body) in cases {
        same(
            http("http_call", clusters),
            &[Asks("/", &[]), IsAnswered(status, body)],
        );
    }
    same(
        http("http_call", &[]),
        &[Asks("/", &[]), IsAnswered(500, "BadArgument")],
    );
}

#[test]
fn a_call_that_breaks_off_kills_a_careless_guest() {
    same(
        http("http_call", &[("auth", Behaviour::BreaksOff)]),
        &[Asks("/", &[])],
    );
}

#[test]
fn properties() {
    for (headers, value) in READS {
        let acts = [
            Asks("/p?q=1", headers),
            IsAnswered(200, "hi"),
            HasHeader("x-value", value),
        ];
        same(http("properties", &[]), &acts);
    }
}

/// What a request asks the guest to set and to read, and what it reads.
const READS: [(&[(&str, &str)], &str); 5] = [
    (&[("x-read", "request.path")], "/p?q=1"),
    (&[("x-read", "request.method")], "GET"),
    (&[("x-read", "plugin_name")], "plugin"),
    (&[("x-read", "own"), ("x-write", "set")], "set"),
    (&[("x-read", "nowhere")], "nothing"),
];

#[test]
fn shared_data_queues_metrics_and_foreign_functions() {
    for guest in ["shared_data", "queues", "metrics", "foreign"] {
        let acts = [
            Asks("/a", &[]),
            IsAnswered(200, "hi"),
            Asks("/b", &[]),
            IsAnswered(200, "hi"),
        ];
        same(http(guest, &[]), &acts);
    }
}

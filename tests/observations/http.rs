//! HTTP filters.

use crate::scene::Act::*;
use crate::scene::{Behaviour, Protocol, Setting, same};

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

fn http(guest: &'static str, clusters: &'static [(&'static str, Behaviour)]) -> Setting {
    Setting {
        guest,
        protocol: Protocol::Http,
        configuration: "",
        clusters,
    }
}

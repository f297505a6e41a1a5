//! Network filters.

use crate::scene::Act::*;
use crate::scene::{Behaviour, Protocol, Setting, same};

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
fn what_a_filter_is_shown_as_it_closes_does_not_pass() {
    let acts = [
        Connects,
        Sends("a\n"),
        UpstreamHas("2:a\n"),
        Gives("ok"),
        Sends("leave"),
        UpstreamEnds("2:a\n"),
        ClientEnds("ok!"),
    ];
    same(tcp("tcp_lines", &[]), &acts);
}

#[test]
fn a_pause_holds_the_end_as_well() {
    let acts = [
        Connects,
        Sends("a\n"),
        UpstreamHas("2:a\n"),
        Sends("hold"),
        Ends,
        UpstreamHas("2:a\n"),
        Gives("ok"),
        UpstreamHas("2:a\n"),
    ];
    same(tcp("tcp_lines", &[]), &acts);
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

fn tcp(guest: &'static str, clusters: &'static [(&'static str, Behaviour)]) -> Setting {
    Setting {
        guest,
        configuration: "",
        protocol: Protocol::Tcp,
        clusters,
    }
}

//! What is refused, and how that is shown.

use super::super::server::MOST_SERVERS;
use super::{imported, service};
use crate::import::note::Note;

fn refused(lines: &str) -> String {
    let text = format!("listen dtr\n{lines}\n");
    imported(&text).unwrap_err().to_string()
}

#[test]
fn what_can_not_be_had_is_refused_by_name() {
    let cases = [
        (
            "server a 10.0.0.1:443",
            "bind :443 # no quote\nbind \"",
            "4:6: the quote",
        ),
        ("server a", "bind :443", "2:9: \"a\" needs an address"),
        (
            "server a 10.0.0.1:443 weight heavy",
            "bind :443",
            "2:30: \"heavy\" is no whole number",
        ),
        (
            "server a 10.0.0.1:443 fall 0",
            "bind :443",
            "2:28: \"0\" is no whole number from 1 on",
        ),
        (
            "server a 10.0.0.1:443 inter 2x",
            "bind :443",
            "2:29: \"2x\" is no time",
        ),
        (
            "server a 10.0.0.1:443 inter",
            "bind :443",
            "2:28: \"inter\" needs a time",
        ),
        (
            "server a 10.0.0.1:443 check addr 10.0.0.9",
            "bind :443",
            "2:1: addr: probes go",
        ),
        (
            "server a 10.0.0.1:-443",
            "bind :80",
            "2:10: 80 and -443 more is no port",
        ),
        (
            "server a $A:443",
            "bind :443",
            "2:10: \"$A:443\" is a placeholder",
        ),
        (
            "server-template a 3 a.b:443",
            "bind :443",
            "2:1: server-template makes",
        ),
        (
            "default_backend b",
            "bind :443",
            "2:17: there is no backend \"b\"",
        ),
        (
            "server a 10.0.0.1:443",
            "server a 10.0.0.2:443\nbind :443",
            "3:8: \"a\" is the name",
        ),
        (
            "server a 10.0.0.1:443",
            "bind unix@/lb",
            "3:6: a path can't",
        ),
        (
            "server a 10.0.0.1:443",
            "timeout client 1.5s\nbind :443",
            "3:16: \"1.5s\" is no time",
        ),
        (
            "server a 10.0.0.1:443",
            "bind :443\nbackends x",
            "4:1: \"backends\" is no section",
        ),
        (
            "server a 10.0.0.1:443",
            "{% if x %}",
            "3:1: \"{%\" decides elsewhere",
        ),
    ];
    for (first, second, expected) in cases {
        let error = refused(&format!("{first}\n{second}"));
        let expected = format!("haproxy.cfg:{expected}");
        assert!(error.starts_with(&expected), "{error}\nand not {expected}");
    }
}

#[test]
fn tls_inside_tls_is_refused_where_it_is_chosen() {
    let (service, _) = service("", "server a 10.0.0.1:443 check ssl verify none");
    let error = service.refused.unwrap().to_string();
    assert!(
        error.starts_with("haproxy.cfg:5:29: ssl encrypts once more"),
        "{error}"
    );
}

#[test]
fn a_name_of_srv_records_is_refused_where_it_is_chosen() {
    let (service, _) = service(
        "",
        "server a _https._tcp.dtr.example.com resolvers ns check",
    );
    let error = service.refused.unwrap().to_string();
    let expected = "haproxy.cfg:5:10: the name is one of SRV records";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.contains("\"discover\": \"dns\""), "{error}");
}

#[test]
fn passwords_are_shown_nowhere() {
    let page = "listen page\nmode http\nbind :8181\nstats enable\nstats auth admin:sw0rdfish\n";
    let list = "userlist u\nuser a insecure-password sw0rdfish\n";
    let text = format!("{page}{list}listen dtr\nbind :443\nserver a 10.0.0.1:443\n");
    let (found, notes) = imported(&text).unwrap();
    assert_eq!(found.admin.unwrap().value.port(), 8181);
    let notes: Vec<String> = notes.iter().map(Note::to_string).collect();
    let notes = notes.join("\n");
    assert!(!notes.contains("sw0rdfish"), "{notes}");
    let error = refused("stats auth admin:\"sw0rdfish");
    assert!(
        error.contains("the quote") && !error.contains("sw0rdfish"),
        "{error}"
    );
}

#[test]
fn more_servers_than_can_be_used_are_refused() {
    let servers: Vec<String> = (0..=MOST_SERVERS)
        .map(|number| format!("server s{number} 10.0.0.1:443"))
        .collect();
    let error = refused(&format!("bind :443\n{}", servers.join("\n")));
    assert!(error.contains("more than 10000 servers"), "{error}");
}

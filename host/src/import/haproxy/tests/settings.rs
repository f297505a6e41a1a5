//! Which of several lines holds, and what it comes to.

use super::{imported, service};
use crate::import::found::Policy;
use crate::import::note::{Note, NoteKind};
use crate::import::proxy_protocol::ProxyProtocol;

#[test]
fn what_stands_nearest_to_a_server_holds() {
    let server = "server a 10.0.0.1:443 check";
    let cases = [
        ("", server, (None, None)),
        (
            "default-server weight 2 inter 1s",
            server,
            (Some(2), Some(1)),
        ),
        (
            "default-server weight 2 inter 1s",
            "default-server weight 3\nserver a 10.0.0.1:443 check",
            (Some(3), Some(1)),
        ),
        (
            "default-server weight 2 inter 1s",
            "default-server weight 3\nserver a 10.0.0.1:443 check inter 9s weight 4",
            (Some(4), Some(9)),
        ),
        (
            "",
            "server a 10.0.0.1:443 check\ndefault-server weight 3 inter 9s",
            (None, None),
        ),
        (
            "default-server no-check weight 5",
            "default-server check\nserver a 10.0.0.1:443 inter 7s",
            (Some(5), Some(7)),
        ),
    ];
    for (defaults, lines, (weight, seconds)) in cases {
        let (service, _) = service(defaults, lines);
        let server = service.servers.first().unwrap();
        assert_eq!(server.weight, weight.unwrap_or(1), "{defaults}\n{lines}");
        let interval = service.check.unwrap().value.interval;
        let interval = interval.map(|interval| interval.as_secs());
        assert_eq!(interval, seconds, "{defaults}\n{lines}");
    }
}

#[test]
fn named_defaults_come_before_the_last_ones() {
    let text = "defaults first\nbalance leastconn\ndefaults second from first\ntimeout connect 2s\n\
                defaults\nbalance source\n\
                listen a from second\nbind :80\nserver a 10.0.0.1:80\n\
                listen b\nbind :81\nserver a 10.0.0.1:80\n\
                listen c from first\nbind :82\nbalance random\nserver a 10.0.0.1:80\n";
    let (found, _) = imported(text).unwrap();
    let read: Vec<_> = found
        .services
        .iter()
        .map(|service| {
            let policy = service.policy.as_ref().map(|policy| policy.value);
            (policy.unwrap(), service.connect_timeout.is_some())
        })
        .collect();
    let expected = [
        (Policy::LeastConnections, true),
        (Policy::SourceHash, false),
        (Policy::RandomTwo, false),
    ];
    assert_eq!(read, expected);
}

#[test]
fn the_shorter_side_is_the_idle_timeout_unless_there_is_a_tunnel() {
    let cases = [
        ("", None),
        ("timeout client 50000\ntimeout server 40s", Some(40)),
        ("clitimeout 1h\nsrvtimeout 2h", Some(3600)),
        ("timeout client 0\ntimeout server 2m", Some(120)),
        (
            "timeout client 1m\ntimeout server 1m\ntimeout tunnel 1h",
            Some(3600),
        ),
        ("timeout client 1m\ntimeout tunnel 0", Some(60)),
    ];
    for (timeouts, expected) in cases {
        let (service, _) = service(timeouts, "server a 10.0.0.1:443");
        let idle = service.idle_timeout.map(|idle| idle.value.as_secs());
        assert_eq!(idle, expected, "{timeouts}");
    }
}

#[test]
fn policies_are_the_nearest_there_are() {
    let cases = [
        ("", None),
        ("balance roundrobin", Some(Policy::RoundRobin)),
        ("balance static-rr", Some(Policy::RoundRobin)),
        ("balance leastconn", Some(Policy::LeastConnections)),
        ("balance random(3)", Some(Policy::RandomTwo)),
        ("balance source", Some(Policy::SourceHash)),
        ("balance hash src", Some(Policy::SourceHash)),
        ("balance first", None),
        ("balance uri", None),
        ("balance leastconn\nstick on src", Some(Policy::SourceHash)),
    ];
    for (lines, expected) in cases {
        let (service, _) = service("", &format!("{lines}\nserver a 10.0.0.1:443"));
        let policy = service.policy.map(|policy| policy.value);
        assert_eq!(policy, expected, "{lines}");
    }
}

#[test]
fn a_name_in_the_handshake_is_the_registrys() {
    let cases = [
        ("use_backend b if { req.ssl_sni -i a.b }", Some("a.b")),
        (
            "use_backend b if { req_ssl_sni -m str -- a.b }",
            Some("a.b"),
        ),
        (
            "acl named req.ssl_sni -i a.b c.d\nuse_backend b if named",
            Some("a.b"),
        ),
        ("use_backend b if TRUE", None),
        ("use_backend b", None),
    ];
    for (rule, expected) in cases {
        let text = format!("frontend f\nbind :443\n{rule}\nbackend b\nserver a 10.0.0.1:443\n");
        let (found, _) = imported(&text).unwrap();
        let fqdn = &found.services.first().unwrap().fqdn;
        let fqdn = fqdn.as_ref().map(|fqdn| fqdn.value.as_str());
        assert_eq!(fqdn, expected, "{rule}");
    }
    let others = [
        "use_backend b if { req.ssl_sni -m sub .b }",
        "use_backend b if { req.ssl_sni -m end .b/c }",
        "use_backend b unless { req.ssl_sni a.b }",
        "use_backend b if { src 10.0.0.0/8 }",
        "use_backend %[req.ssl_sni]",
        "acl named req.ssl_sni a.b\nacl named src 10.0.0.1\nuse_backend b if named",
    ];
    for rule in others {
        let text = format!("frontend f\nbind :443\n{rule}\nbackend b\nserver a 10.0.0.1:443\n");
        let (found, _) = imported(&text).unwrap();
        assert!(found.services.is_empty(), "{rule}: {:?}", found.services);
    }
}

#[test]
fn the_end_of_a_name_leads_to_a_service_of_its_own() {
    let end = "use_backend b if { req.ssl_sni -i -m end .b.c }";
    let cases = [
        (end, "b *.b.c"),
        ("use_backend b if { req.ssl_sni -m end b.c }", "b b.c *.b.c"),
        (
            "use_backend b if { req.ssl_sni b.c }\nuse_backend b if { req.ssl_sni -m end .b.c }",
            "b b.c *.b.c",
        ),
        (
            "acl end req.ssl_sni -m end .b.c\nuse_backend b if end\ndefault_backend d",
            "b *.b.c, f",
        ),
        (
            "use_backend d if { req.ssl_sni d.c }\ndefault_backend d",
            "d d.c",
        ),
    ];
    for (rules, expected) in cases {
        let text = format!(
            "frontend f\nbind :443\n{rules}\nbackend b\nserver a 10.0.0.1:443\n\
             backend d\nserver a 10.0.0.2:443\n"
        );
        let (found, notes) = imported(&text).unwrap();
        let services = found.services.iter();
        let services: Vec<String> = services
            .map(|one| {
                format!("{} {}", one.name, one.names.join(" "))
                    .trim_end()
                    .to_owned()
            })
            .collect();
        assert_eq!(services.join(", "), expected, "{rules}");
        let unused = notes
            .iter()
            .find(|note| note.text.starts_with("default_backend") && note.kind != NoteKind::Taken);
        assert_eq!(unused, None, "{rules}");
    }
}

#[test]
fn a_rule_names_the_field_that_stands_for_it() {
    let cases = [
        (
            "tcp-request connection reject if { src 10.0.0.1 }",
            "\"allow\" and \"deny\"",
        ),
        (
            "tcp-request connection reject if { src_conn_cur ge 20 }",
            "\"per_client_max_connections\"",
        ),
        (
            "acl many src_conn_cur ge 20",
            "\"per_client_max_connections\"",
        ),
        (
            "tcp-request connection expect-proxy layer4 if { src 10.0.0.1 }",
            "\"accept_proxy_from\"",
        ),
        (
            "tcp-request connection expect-netscaler-cip layer4",
            "NetScaler's (CIP) first, which is not read",
        ),
        (
            "tcp-request content accept if { req_ssl_hello_type 1 }",
            "whether they speak TLS or not",
        ),
        (
            "tcp-request content reject if !{ req.ssl_hello_type 1 }",
            "whether they speak TLS or not",
        ),
    ];
    for (rule, expected) in cases {
        let (_, notes) = service("", &format!("{rule}\nserver a 10.0.0.1:443"));
        let is_it = |note: &&Note| note.place.line == 5;
        let text = notes
            .iter()
            .find(is_it)
            .map_or("", |note| note.text.as_str());
        assert!(text.contains(expected), "{rule}: {text}");
        let names_networks = text.contains("\"deny\"");
        assert_eq!(names_networks, expected.contains("deny"), "{rule}: {text}");
    }
}

#[test]
fn servers_are_sent_the_version_that_they_were() {
    let (v1, v2) = (Some(ProxyProtocol::V1), Some(ProxyProtocol::V2));
    let cases = [
        ("", None, false),
        ("send-proxy", v1, false),
        ("send-proxy-v2", v2, false),
        ("send-proxy-v2-ssl", v2, true),
        ("send-proxy-v2-ssl-cn", v2, true),
        ("send-proxy-v2 no-send-proxy-v2", None, false),
        ("send-proxy-v2-ssl no-send-proxy-v2-ssl", None, true),
        ("send-proxy-v2-ssl-cn no-send-proxy-v2-ssl-cn", None, true),
    ];
    for (keywords, expected, sent_more) in cases {
        let (service, notes) = service("", &format!("server a 10.0.0.1:443 {keywords}"));
        assert_eq!(service.proxy_protocol, expected, "{keywords}");
        let is_noted = notes.iter().any(|note| {
            note.kind == NoteKind::NotTaken && note.text.contains("and nothing of TLS")
        });
        assert_eq!(is_noted, sent_more, "{keywords}: {notes:#?}");
    }
}

#[test]
fn a_section_that_is_disabled_gives_no_replicas() {
    let cases = [
        ("the backend is", "", "disabled", ""),
        ("its defaults are", "disabled", "", "enabled"),
    ];
    for (why, defaults, backend, frontend) in cases {
        let back = "server a 10.0.0.1:443\n";
        let text = format!(
            "defaults\n{defaults}\nfrontend f\nbind :443\n{frontend}\ndefault_backend b\n\
             backend b\n{backend}\n{back}"
        );
        let (found, notes) = imported(&text).unwrap();
        assert!(found.services.is_empty(), "{why}: {:?}", found.services);
        let is_said = |note: &Note| note.text == "backend b: is disabled";
        assert!(notes.iter().any(is_said), "{why}: {notes:#?}");
    }
    let back_in_use = "defaults\ndisabled\nlisten dtr\nenabled\nbind :443\nserver a 10.0.0.1:443\n";
    let (found, _) = imported(back_in_use).unwrap();
    assert_eq!(found.services.len(), 1, "a section enables itself again");
}

#[test]
fn what_some_servers_say_and_all_get_is_pointed_out() {
    let closes = "on-marked-down shutdown-sessions";
    let cases = [
        ("all say it", [closes, closes], 0),
        ("one of two", ["", closes], 1),
        ("none", ["", ""], 0),
    ];
    for (why, [first, second], expected) in cases {
        let lines = format!("server a 10.0.0.1:443 {first}\nserver b 10.0.0.2:443 {second}");
        let (service, notes) = service("mode tcp", &lines);
        let pointed_out = notes.iter().filter(|note| {
            note.kind == NoteKind::Advice && note.text.contains("is for all replicas")
        });
        assert_eq!(pointed_out.count(), expected, "{why}: {notes:#?}");
        let closes = [first, second].iter().any(|one| !one.is_empty());
        assert_eq!(service.closes_on_down.is_some(), closes, "{why}");
    }
}

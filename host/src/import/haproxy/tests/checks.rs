//! What is asked of servers.

use super::{imported, service};
use crate::import::found::{CheckKind, Verify};

#[test]
fn checks_are_read_in_all_their_forms() {
    let ranges = |ranges: &[(u16, u16)]| ranges.to_vec();
    let any = ranges(&[(200, 399)]);
    let cases = [
        ("option httpchk", "/", any.clone(), None),
        ("option httpchk /_ping", "/_ping", any.clone(), None),
        ("option httpchk GET /_ping", "/_ping", any.clone(), None),
        (
            r"option httpchk GET /_ping HTTP/1.1\r\nHost:\ a.b",
            "/_ping",
            any.clone(),
            Some("a.b"),
        ),
        (
            r#"option httpchk GET /_ping "HTTP/1.1\r\nHost: a.b\r\nX-Y: z""#,
            "/_ping",
            any.clone(),
            Some("a.b"),
        ),
        (
            "option httpchk\nhttp-check send meth GET uri /_ping ver HTTP/1.1 hdr Host a.b",
            "/_ping",
            any.clone(),
            Some("a.b"),
        ),
        (
            "option httpchk GET /old\nhttp-check send uri /_ping",
            "/_ping",
            any.clone(),
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect status 200,204-206",
            "/",
            ranges(&[(200, 200), (204, 206)]),
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect min-recv 4 status 200",
            "/",
            ranges(&[(200, 200)]),
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect ! status 503",
            "/",
            ranges(&[(100, 502), (504, 599)]),
            None,
        ),
        (
            "http-check expect status 204\noption httpchk GET /",
            "/",
            ranges(&[(204, 204)]),
            None,
        ),
        (
            "option httpchk GET /v2/\nhttp-check expect status 200,204,401\n\
             http-check expect ! status 204\nhttp-check expect string {",
            "/v2/",
            ranges(&[(200, 200), (401, 401)]),
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect rstatus ^2",
            "/",
            ranges(&[(200, 299)]),
            None,
        ),
        (
            r"option httpchk GET /
            http-check expect rstatus (2|3)[0-9]\d",
            "/",
            any.clone(),
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect ! rstatus ^5",
            "/",
            ranges(&[(100, 499)]),
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect rstatus ^(?!5)",
            "/",
            any.clone(),
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect ! string down",
            "/",
            any,
            None,
        ),
        (
            "option httpchk GET /\nhttp-check expect string up",
            "/",
            vec![],
            None,
        ),
    ];
    for (lines, path, statuses, host) in cases {
        let (service, _) = service("", &format!("{lines}\nserver a 10.0.0.1:443 check"));
        let CheckKind::Http {
            path: read,
            statuses: accepted,
            tls,
            ..
        } = service.check.unwrap().value.kind
        else {
            panic!("{lines}: not HTTP");
        };
        let fqdn = service.fqdn.map(|fqdn| fqdn.value);
        assert_eq!(
            (read.as_str(), accepted, tls, fqdn.as_deref()),
            (path, statuses, None, host),
            "{lines}"
        );
    }
}

#[test]
fn a_backends_own_check_has_none_of_its_defaults_expectations() {
    let defaults = "option httpchk GET /\nhttp-check expect status 302";
    let cases = [
        ("", vec![(302, 302)]),
        ("option httpchk GET /", vec![(200, 399)]),
        ("http-check expect status 401", vec![(401, 401)]),
        (
            "http-check expect status 204\noption httpchk GET /",
            vec![(204, 204)],
        ),
    ];
    for (lines, expected) in cases {
        let lines = format!("{lines}\nserver a 10.0.0.1:443 check");
        let (service, _) = service(defaults, &lines);
        let CheckKind::Http { statuses, .. } = service.check.unwrap().value.kind else {
            panic!("{lines}: not HTTP");
        };
        assert_eq!(statuses, expected, "{lines}");
    }
}

#[test]
fn expectations_that_no_answer_meets_are_refused() {
    let long = format!("http-check expect status {}200", "200,".repeat(100));
    let many = "http-check expect status 200\n".repeat(17);
    let cases = [
        (
            "http-check expect status ok",
            "this is no list of up to 100 statuses",
        ),
        (&*long, "this is no list of up to 100 statuses"),
        (&*many, "more than 16 \"http-check expect\""),
        (
            "http-check expect status 200\nhttp-check expect ! rstatus ^2",
            "no status is left",
        ),
    ];
    for (lines, expected) in cases {
        let text = format!(
            "listen dtr\nmode tcp\nbind :443\noption httpchk\n{lines}\nserver a 10.0.0.1:443 check\n"
        );
        let error = imported(&text).map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{lines}: {error}");
    }
}

#[test]
fn a_checks_certificate_is_verified_as_the_lines_say() {
    let file = |name: &str| Verify::CaFile(name.to_owned());
    let cases = [
        ("", "check-ssl verify none", Verify::None),
        (
            "",
            "check-ssl verify required ca-file /ca.pem",
            file("/ca.pem"),
        ),
        (
            "ca-base /etc/ca",
            "check-ssl ca-file ca.pem",
            file("/etc/ca/ca.pem"),
        ),
        (
            "ca-base /etc/ca",
            "check-ssl ca-file /ca.pem",
            file("/ca.pem"),
        ),
        ("", "check-ssl ca-file @system-ca", Verify::System),
        ("ssl-server-verify none", "check-ssl", Verify::None),
        ("", "check-ssl", Verify::System),
    ];
    for (global, keywords, expected) in cases {
        let text = format!(
            "global\n{global}\nlisten dtr\nbind :443\noption httpchk GET /_ping\n\
             server a 10.0.0.1:443 check {keywords}\n"
        );
        let (found, _) = imported(&text).unwrap();
        let check = found.services.first().unwrap().check.clone().unwrap();
        let CheckKind::Http { tls, .. } = check.value.kind else {
            panic!("{text}: not HTTP");
        };
        assert_eq!(tls, Some(expected), "{text}");
    }
}

use super::*;

type Headers<'a> = &'a [(&'a str, &'a str)];

fn from(headers: Headers<'_>) -> Request {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Request {
        headers: headers.collect(),
        ..Request::default()
    }
}

#[test]
fn without_a_token_only_this_machine_may() {
    let local = Admin {
        token: None,
        loopback: true,
        protect: Protect::Changes,
    };
    let open = Admin {
        token: None,
        loopback: false,
        protect: Protect::Changes,
    };
    let me = (":authority", "127.0.0.1:8181");
    let cases: [(&str, &Admin, Headers<'_>, Result<(), Denied>); 14] = [
        ("curl", &local, &[me], Ok(())),
        (
            "by name",
            &local,
            &[(":authority", "localhost:8181")],
            Ok(()),
        ),
        ("IPv6", &local, &[(":authority", "[::1]:8181")], Ok(())),
        ("no port", &local, &[(":authority", "LOCALHOST")], Ok(())),
        (
            "a rebound name",
            &local,
            &[(":authority", "evil.example.com:8181")],
            Err(Denied::Host),
        ),
        (
            "a name that looks right",
            &local,
            &[(":authority", "127.0.0.1.evil.example.com")],
            Err(Denied::Host),
        ),
        (
            "another address",
            &local,
            &[(":authority", "10.0.0.1:8181")],
            Err(Denied::Host),
        ),
        ("no host", &local, &[], Err(Denied::Host)),
        (
            "our own page",
            &local,
            &[me, ("origin", "http://127.0.0.1:8181")],
            Ok(()),
        ),
        (
            "another page",
            &local,
            &[me, ("origin", "https://evil.example.com")],
            Err(Denied::Origin),
        ),
        (
            "another port",
            &local,
            &[me, ("origin", "http://127.0.0.1:3000")],
            Err(Denied::Origin),
        ),
        (
            "a sandboxed page",
            &local,
            &[me, ("origin", "null")],
            Err(Denied::Origin),
        ),
        (
            "a cross-site fetch",
            &local,
            &[me, ("sec-fetch-site", "cross-site")],
            Err(Denied::Origin),
        ),
        (
            "a listener others reach",
            &open,
            &[me],
            Err(Denied::NoToken),
        ),
    ];
    for (why, admin, headers, expected) in cases {
        assert_eq!(admit_change(&from(headers), admin), expected, "{why}");
    }
}

#[test]
fn with_a_token_only_its_holder_may() {
    let admin = |token: &str| Admin {
        token: Some(token.to_owned()),
        loopback: false,
        protect: Protect::Changes,
    };
    let host = (":authority", "lb.example.com:8181");
    let cases: [(&str, &str, Headers<'_>, Result<(), Denied>); 13] = [
        (
            "the token",
            "s3cret",
            &[host, ("authorization", "Bearer s3cret")],
            Ok(()),
        ),
        (
            "the scheme in lower case",
            "s3cret",
            &[host, ("authorization", "bearer s3cret")],
            Ok(()),
        ),
        ("none", "s3cret", &[host], Err(Denied::Token)),
        (
            "a wrong one",
            "s3cret",
            &[host, ("authorization", "Bearer s3creT")],
            Err(Denied::Token),
        ),
        (
            "a part of it",
            "s3cret",
            &[host, ("authorization", "Bearer s3cre")],
            Err(Denied::Token),
        ),
        (
            "more than it",
            "s3cret",
            &[host, ("authorization", "Bearer s3cret0")],
            Err(Denied::Token),
        ),
        (
            "an empty one",
            "",
            &[host, ("authorization", "Bearer ")],
            Err(Denied::Token),
        ),
        (
            "as a browser sends it, admin:s3cret",
            "s3cret",
            &[host, ("authorization", "Basic YWRtaW46czNjcmV0")],
            Ok(()),
        ),
        (
            "as the user, s3cret:",
            "s3cret",
            &[host, ("authorization", "Basic czNjcmV0Og==")],
            Err(Denied::Token),
        ),
        (
            "without a colon",
            "s3cret",
            &[host, ("authorization", "Basic czNjcmV0")],
            Err(Denied::Token),
        ),
        (
            "no Base64",
            "s3cret",
            &[host, ("authorization", "Basic s3cret!")],
            Err(Denied::Token),
        ),
        (
            "another scheme",
            "s3cret",
            &[host, ("authorization", "Digest s3cret")],
            Err(Denied::Token),
        ),
        (
            "from another page",
            "s3cret",
            &[
                host,
                ("authorization", "Bearer s3cret"),
                ("origin", "https://evil.example.com"),
            ],
            Err(Denied::Origin),
        ),
    ];
    for (why, token, headers, expected) in cases {
        assert_eq!(
            admit_change(&from(headers), &admin(token)),
            expected,
            "{why}"
        );
    }
}

#[test]
fn what_may_be_seen_without_a_token_is_configured() {
    let admin = |token: Option<&str>, protect| Admin {
        token: token.map(str::to_owned),
        loopback: true,
        protect,
    };
    let open = admin(Some("s3cret"), Protect::Changes);
    let closed = admin(Some("s3cret"), Protect::All);
    let shut = admin(None, Protect::All);
    let given = from(&[("authorization", "Bearer s3cret")]);
    let cases = [
        ("nobody asks", &open, from(&[]), Ok(())),
        ("without", &closed, from(&[]), Err(Denied::Token)),
        ("with it", &closed, given.clone(), Ok(())),
        ("there is none", &shut, given, Err(Denied::Token)),
    ];
    for (why, admin, request, expected) in cases {
        assert_eq!(admit_read(&request, admin), expected, "{why}");
    }
    let asked = |purpose| {
        let denied = admit(&from(&[]), purpose, &closed).expect_err("it has no token");
        let mut headers = denied.headers.into_iter();
        let challenge = headers.find(|(name, _)| *name == "www-authenticate");
        (denied.status, challenge.map(|(_, value)| value))
    };
    let basic = "Basic realm=\"dtr-lb\"".to_owned();
    assert_eq!(asked(Purpose::Read), (401, Some(basic)));
    assert_eq!(asked(Purpose::Change), (401, Some("Bearer".to_owned())));
}

use super::*;
use crate::compare::certificate::Certificate;

const FQDN: &str = "dtr.example.com";
const NOW_MS: u64 = 1_800_000_000_000;

/// Each replica `r1`, `r2` ... with what it revealed, and what is found.
fn found(observations: &[Observation]) -> Vec<String> {
    let names: Vec<String> = (1..=observations.len())
        .map(|it| format!("r{it}"))
        .collect();
    let named: Vec<Observed<'_>> = names.iter().map(String::as_str).zip(observations).collect();
    compare(FQDN, &named, NOW_MS)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn offset(ms: i64) -> Observation {
    Observation {
        clock_offset_ms: Some(ms),
        ..Observation::default()
    }
}

fn certificate(sha256: &str, issuer: &str, names: &[&str], days: i64) -> Observation {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let not_after = i64::try_from(NOW_MS / 1000).unwrap() + days * 86_400;
    let (sha256, issuer) = (sha256.to_owned(), issuer.to_owned());
    let certificate = Some(Certificate {
        sha256,
        issuer,
        names,
        not_after,
    });
    Observation {
        certificate,
        ..Observation::default()
    }
}

fn challenge(value: &str) -> Observation {
    Observation {
        challenge: Some(value.to_owned()),
        ..offset(0)
    }
}

/// Each case: why, what the replicas revealed, and how what is found begins.
fn assert_found(cases: Vec<(&str, Vec<Observation>, Vec<&str>)>) {
    for (why, observations, expected) in cases {
        let found = found(&observations);
        assert_eq!(found.len(), expected.len(), "{why}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{why}: {found}");
        }
    }
}

#[test]
fn a_clock_that_differs_is_named() {
    assert_found(vec![
        (
            "all within the tolerance",
            vec![offset(0), offset(4000), offset(-900)],
            vec![],
        ),
        (
            "one is ahead",
            vec![offset(0), offset(0), offset(3_725_000)],
            vec!["replica \"r3\": its clock is 62 min 5 s ahead of the others'; tokens"],
        ),
        (
            "an hour, by a clock of whole seconds",
            vec![offset(0), offset(0), offset(3_599_600)],
            vec!["replica \"r3\": its clock is 60 min 0 s ahead"],
        ),
        (
            "one is behind",
            vec![offset(-30_000), offset(0), offset(0)],
            vec!["replica \"r1\": its clock is 30 s behind the others'; tokens"],
        ),
        (
            "of two, ours decides",
            vec![offset(0), offset(9000)],
            vec!["replica \"r2\": its clock is 9 s ahead of the others'"],
        ),
        (
            "all are ahead of ours: then ours is behind",
            vec![offset(60_000), offset(60_000), offset(60_400)],
            vec!["this machine: its clock is 60 s behind the replicas'; synchronise it (NTP)"],
        ),
        (
            "one alone, with ours",
            vec![offset(7000)],
            vec!["replica \"r1\": its clock is 7 s ahead of"],
        ),
        ("none is known", vec![Observation::default(); 3], vec![]),
    ]);
}

#[test]
fn a_certificate_that_differs_or_expires_is_named() {
    let usual = || certificate("aa", "CN=CA", &[FQDN], 300);
    assert_found(vec![
        ("all the same", vec![usual(), usual(), usual()], vec![]),
        (
            "a wildcard covers",
            vec![certificate("aa", "CN=CA", &["*.example.com"], 300)],
            vec![],
        ),
        (
            "not one of two labels",
            vec![certificate("aa", "CN=CA", &["*.com"], 300)],
            vec![
                "replica \"r1\": its certificate is for *.com, and not for dtr.example.com; issue",
            ],
        ),
        (
            "another one",
            vec![usual(), certificate("bb", "CN=r2", &[FQDN], 300), usual()],
            vec![
                "replica \"r2\": its certificate is bb... issued by CN=r2, the others' aa... issued by CN=CA; clients",
            ],
        ),
        (
            "another key, of the same authority",
            vec![usual(), certificate("bb", "CN=CA", &[FQDN], 300), usual()],
            vec![
                "replica \"r2\": its certificate is bb... issued by CN=CA, the others' aa... issued by CN=CA; fine if",
            ],
        ),
        (
            "each its own: one line",
            vec![
                usual(),
                certificate("bb", "CN=CA", &[FQDN], 300),
                certificate("cc", "CN=CA", &[FQDN], 300),
                certificate("dd", "CN=other", &[FQDN], 300),
            ],
            vec![
                "replicas \"r1\", \"r2\", \"r3\", \"r4\": their certificates differ: aa... issued by CN=CA, bb... issued by CN=CA, cc... issued by CN=CA and 1 more; clients",
            ],
        ),
        (
            "many names",
            vec![certificate("aa", "CN=CA", &["a", "b", "c", "d", "e"], 300)],
            vec![
                "replica \"r1\": its certificate is for a, b, c and 2 more, and not for dtr.example.com",
            ],
        ),
        (
            "it is over soon",
            vec![certificate("aa", "CN=CA", &[FQDN], 13)],
            vec!["replica \"r1\": its certificate expires in 13 days; renew it"],
        ),
        (
            "it is over",
            vec![certificate("aa", "CN=CA", &[], -2)],
            vec![
                "replica \"r1\": its certificate expired 2 days ago; renew it",
                "replica \"r1\": its certificate is for no name, and not for dtr.example.com",
            ],
        ),
    ]);
}

#[test]
fn logins_that_lead_elsewhere_are_named() {
    let right = r#"Bearer realm="https://dtr.example.com/auth/token",service="dtr.example.com""#;
    assert_found(vec![
        (
            "all alike",
            vec![challenge(right), challenge(right)],
            vec![],
        ),
        (
            "one asks for none",
            vec![challenge(right), challenge(right), offset(0)],
            vec!["replica \"r3\": sends clients to log in to nowhere, the others to Bearer realm="],
        ),
        (
            "one was not asked",
            vec![challenge(right), Observation::default()],
            vec![],
        ),
        (
            "all lead to another host",
            vec![challenge(r#"Bearer realm="https://10.0.0.1/auth/token""#); 2],
            vec!["replicas \"r1\", \"r2\": clients get their tokens from 10.0.0.1 (realm "],
        ),
        (
            "in the clear",
            vec![challenge(
                r#"Bearer realm="http://dtr.example.com/auth/token""#,
            )],
            vec!["replica \"r1\": clients get their tokens over plain HTTP"],
        ),
        (
            "another port",
            vec![challenge(
                r#"Bearer realm="https://dtr.example.com:4443/auth""#,
            )],
            vec!["replica \"r1\": clients get their tokens from port 4443"],
        ),
        (
            "another service",
            vec![challenge(
                r#"Bearer realm="https://dtr.example.com/auth",service="old.example.com""#,
            )],
            vec![
                "replica \"r1\": tokens are for the service old.example.com, and not for dtr.example.com",
            ],
        ),
        (
            "a service that is a word",
            vec![challenge(r#"Bearer service="harbor-registry""#)],
            vec![],
        ),
        (
            "no address at all",
            vec![challenge("Basic realm=\"Registry\"")],
            vec![],
        ),
    ]);
}

#[test]
fn versions_and_redirects_that_differ_are_named() {
    let server = |text: &str| Observation {
        server: Some(text.to_owned()),
        ..Observation::default()
    };
    let redirect = |text: &str| Observation {
        redirect: Some(text.to_owned()),
        ..Observation::default()
    };
    assert_found(vec![
        (
            "one of three",
            vec![
                server("nginx/1.12"),
                server("nginx/1.13"),
                server("nginx/1.12"),
            ],
            vec![
                "replica \"r2\": answers with Server: nginx/1.13, the others with nginx/1.12; bring",
            ],
        ),
        (
            "one of two: both",
            vec![server("a"), server("b")],
            vec![
                "replica \"r1\": answers with Server: a; bring",
                "replica \"r2\": answers with Server: b; bring",
            ],
        ),
        (
            "one says nothing",
            vec![server("a"), Observation::default()],
            vec![],
        ),
        (
            "away from the name",
            vec![
                redirect("https://10.0.0.1/"),
                redirect("https://dtr.example.com/"),
            ],
            vec![
                "replica \"r1\": port 80 leads to https://10.0.0.1/",
                "replica \"r2\": port 80 leads to https://dtr.example.com/",
                "replica \"r1\": port 80 leads clients to 10.0.0.1, and not to dtr.example.com",
            ],
        ),
    ]);
}

#[test]
fn a_line_names_at_most_eight_replicas() {
    let observations = vec![challenge(r#"Bearer realm="https://a.example/""#); 20];
    let found = found(&observations);
    assert!(
        found[0].starts_with("replicas \"r1\", \"r2\", "),
        "{found:?}"
    );
    assert!(
        found[0].contains("\"r8\" and 12 more: clients"),
        "{found:?}"
    );
}

#[test]
fn a_certificate_travels_in_a_header() {
    let names = vec!["dtr.example.com".to_owned(), "bücher.example\n".to_owned()];
    let sent = Certificate {
        sha256: "ab".into(),
        issuer: "O=Große \"CA\"".into(),
        names,
        not_after: -1,
    };
    let header = sent.to_header();
    assert!(
        header.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{header}"
    );
    assert_eq!(Certificate::from_header(&header), Some(sent));
    assert_eq!(Certificate::from_header("nginx"), None);
}

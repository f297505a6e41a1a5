//! Mistakes that are known by their looks.

use super::errors::errors;
use super::*;

#[test]
fn what_other_formats_allow_is_named_with_its_place() {
    let cases = [
        ("{ // dtr\n}", "not JSON at line 1, column 3: a comment"),
        (
            "{\n  /* dtr */\n}",
            "not JSON at line 2, column 3: a comment",
        ),
        (
            "{\n\"a\": \"//\", # dtr\n}",
            "not JSON at line 2, column 12: a comment",
        ),
        (
            "{ \"a\": [1,\n ] }",
            "not JSON at line 1, column 10: a comma before the closing bracket",
        ),
        (
            "{ \"a\": \"\\\",}\", }",
            "not JSON at line 1, column 14: a comma before the closing bracket",
        ),
        ("{ 'a': 1 }", "not JSON at line 1, column 3: a single quote"),
        (
            "{ \"a\" 1, /**/ }",
            "not JSON at line 1, column 7: expected `:`",
        ),
        ("# dtr\nfqdn: a.example\n", "this looks like YAML"),
        ("---\n- a\n", "this looks like YAML"),
        ("\"fqdn\": 1", "more text after the end"),
        (" \n", "there is nothing in it"),
        (
            "stream { }",
            "this looks like an NGINX configuration; `dtr-lb import FILE`",
        ),
        (
            "global\ndefaults\n",
            "this looks like an HAProxy configuration; `dtr-lb import FILE`",
        ),
        (
            r#"{"LoadBalancerDescriptions": []}"#,
            "this looks like the description of an AWS ELB; `dtr-lb import FILE`",
        ),
    ];
    for (text, expected) in cases {
        let found = errors(text);
        assert!(
            found.iter().any(|error| error.starts_with(expected)),
            "{text}\n{found:?}"
        );
    }
}

#[test]
fn values_that_others_mean_something_by_get_a_hint() {
    let replica = |address: &str| with_replicas(&format!(r#"[{{"address": "{address}"}}]"#));
    let cases = [
        (
            replica("0.0.0.0"),
            "; this one stands for all addresses of a machine, and is that of no replica",
        ),
        (
            replica("::"),
            "; this one stands for all addresses of a machine, and is that of no replica",
        ),
        (
            replica("[::]"),
            "; this one stands for all addresses of a machine, and is that of no replica",
        ),
        (
            replica("224.0.0.1"),
            "; this one is for multicast, and is that of no replica",
        ),
        (
            with(r#""idle_timeout": "0s""#),
            "of at least 1ms, in whole milliseconds, at most 365days; left out, a connection may be silent for ever",
        ),
        (
            with(r#""half_close_timeout": "0s""#),
            "; there is always a limit; left out, it is 1h",
        ),
        (
            with(r#""health": {"verify": "None"}"#),
            r#"; did you mean "none"?"#,
        ),
        (
            with(r#""health": {"verify": "SYSTEM"}"#),
            r#"; did you mean "system"?"#,
        ),
    ];
    for (text, expected) in cases {
        let found = errors(&text);
        assert!(found[0].ends_with(expected), "{text}\n{found:?}");
    }
}

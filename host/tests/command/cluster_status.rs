//! `dtr-lb cluster-status`.

use std::os::unix::fs::PermissionsExt;

use dtr_lb::standin::{Condition, Registry};
use serde_json::{Value, json};

use crate::registry::{FQDN, Stage};
use crate::{output, text};

fn registry_of_three() -> Stage {
    Stage::of("cluster-status")
}

#[test]
fn a_cluster_that_is_well_exits_with_0() {
    let stage = registry_of_three();
    let shown = stage.ask(&[]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    shown.says("id replica own /_ping r1 says r2 says r3 says a1 r1 OK OK (");
    shown.says("ok: all say the same, and that all is well");
}

#[test]
fn a_replica_that_is_not_configured_is_the_find() {
    let mut stage = registry_of_three();
    stage.config["replicas"].as_array_mut().unwrap().pop();
    let shown = stage.ask(&[]);
    assert_eq!(shown.code, Some(1), "{}", shown.stderr);
    shown.says("c3 is in the cluster and not configured here, so that it gets no clients");
}

#[test]
fn a_sick_replica_and_one_that_is_gone_are_named_by_the_others() {
    let stage = registry_of_three();
    stage.is(1, Condition::Failing("rethinkdb: no primary".to_owned()));
    stage.is(2, Condition::Gone);
    let shown = stage.ask(&["--json"]);
    assert_eq!(shown.code, Some(1), "{}", shown.stderr);
    let found: Value = serde_json::from_str(&shown.stdout).unwrap();
    let kinds = found["findings"].as_array().unwrap().iter();
    let kinds: Vec<(&str, &str)> = kinds
        .map(|one| {
            (
                one["kind"].as_str().unwrap(),
                one["about"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("silent", "r3"),
        ("unhealthy", "b2 (r2)"),
        ("unhealthy", "c3 (r3)"),
    ];
    assert_eq!(kinds, expected, "{found:#}");
    assert_eq!(found["ok"], false);
    let sick = &found["replicas"][1];
    assert!(
        sick["ping"].as_str().unwrap().contains("rethinkdb"),
        "{sick}"
    );
    assert_eq!(sick["says"]["b2"]["error"], "rethinkdb: no primary");
}

#[test]
fn the_password_goes_to_nobody_who_is_not_verified() {
    let mut stage = registry_of_three();
    stage.config["health"]["verify"] = "none".into();
    let refused = stage.ask(&[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    let expected = "error: no check verifies a certificate, so that the password would go to";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    assert_eq!(stage.ask(&["--insecure"]).code, Some(0));

    // An authority that did not sign the replicas' certificates.
    let other = Registry::new(FQDN).unwrap();
    std::fs::write(stage.folder.path().join("ca.pem"), other.ca_pem()).unwrap();
    stage.config["health"]["verify"] = "ca.pem".into();
    let shown = stage.ask(&[]);
    assert_eq!(shown.code, Some(1));
    shown.says("r1 does not say how the cluster is: certificate:");
}

#[test]
fn the_password_stands_in_no_text_and_a_wrong_one_is_reported() {
    let stage = registry_of_three();
    let file = stage.folder.path().join("wrong");
    std::fs::write(&file, "a-wrong-secret").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let shown = stage.show(&["--user", "admin", "--password-file", file.to_str().unwrap()]);
    assert_eq!(shown.code, Some(1));
    shown.says("it answers 401: the user or the password is wrong");
    let all = format!("{}{}", shown.stdout, shown.stderr);
    assert!(
        !all.contains("a-wrong-secret") && !all.contains("YWRtaW4"),
        "{all}"
    );
}

#[test]
fn who_asks_may_stand_in_the_configuration() {
    let mut stage = registry_of_three();
    stage.config["cluster_status"] = json!({ "user": "admin", "password_file": "password" });
    let shown = stage.show(&[]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    let file = stage.folder.path().join("lb.json");
    let password = stage.folder.path().join("password");
    for (mode, warned) in [(0o640, false), (0o644, true)] {
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(mode)).unwrap();
        let checked = output(&["check", "--config", file.to_str().unwrap()]);
        let has_warned =
            text(&checked.stderr).contains("cluster_status.password_file is \"password\"; any");
        assert_eq!(has_warned, warned, "{mode:o}: {}", text(&checked.stderr));
        let path = password.to_str().unwrap();
        let asked = stage.show(&["--user", "admin", "--password-file", path]);
        let has_warned = asked
            .stderr
            .contains(&format!("warning: --password-file is {path}; any"));
        assert_eq!(has_warned, warned, "{mode:o}: {}", asked.stderr);
    }
    let cases = [
        (
            json!({ "user": "admin", "password_file": "missing" }),
            "can't be read",
        ),
        (
            json!({ "user": "a:b", "password_file": "password" }),
            "the user \"a:b\" is no name",
        ),
        (
            json!({ "user": "admin" }),
            "cluster_status.password_file: missing",
        ),
    ];
    for (wrong, expected) in cases {
        stage.config["cluster_status"] = wrong;
        let shown = stage.show(&[]);
        assert_eq!(shown.code, Some(2), "{}", shown.stdout);
        assert!(shown.stderr.contains(expected), "{}", shown.stderr);
    }
    stage
        .config
        .as_object_mut()
        .unwrap()
        .remove("cluster_status");
    let nobody = stage.show(&[]);
    assert_eq!(nobody.code, Some(2));
    assert!(
        nobody.stderr.contains("say who asks, with --user"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn programs_get_an_object_whatever_is_wrong() {
    let stage = registry_of_three();
    let missing = ["--user", "admin", "--password-file", "missing", "--json"];
    for flags in [&["--json"][..], &missing] {
        let shown = stage.show(flags);
        assert_eq!(shown.code, Some(2), "{}", shown.stdout);
        let found: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(found["ok"], false);
        let error = found["error"].as_str().unwrap();
        assert!(shown.stderr.contains(error), "{error}: {}", shown.stderr);
    }
}

#[test]
fn of_several_services_one_is_asked() {
    let mut stage = registry_of_three();
    let mut whole = json!({ "listeners": stage.config["listeners"].take() });
    let dtr = stage.config.as_object_mut().unwrap();
    dtr.remove("listeners");
    dtr.insert("name".to_owned(), "dtr".into());
    let quay = json!({ "fqdn": "quay.example.com", "replicas": [{ "address": "10.0.0.1" }] });
    whole["services"] = json!([dtr, quay]);
    stage.config = whole;

    let shown = stage.ask(&["--service", "dtr"]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    shown.says("id replica own /_ping dtr/r1 says");
    let cases = [
        (
            &[][..],
            "there are several services; say which with --service: dtr, quay.example.com",
        ),
        (
            &["--service", "x"],
            "--service x: there is no such service; known: dtr, quay.example.com",
        ),
    ];
    for (flags, expected) in cases {
        let shown = stage.ask(flags);
        assert_eq!(shown.code, Some(2), "{flags:?}");
        assert!(
            shown.stderr.contains(expected),
            "{flags:?}: {}",
            shown.stderr
        );
    }
    let only = registry_of_three().ask(&["--service", "dtr"]);
    assert_eq!(only.code, Some(2));
    let expected = "the configuration has one registry; leave --service out";
    assert!(only.stderr.contains(expected), "{}", only.stderr);
}

//! `dtr-lb doctor`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use dtr_lb::standin::{Condition, Deviation};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::certificate::renew;
use crate::registry::{Shown, Stage, run};
use crate::running::{Running, eventually};
use crate::{dtr_lb, operator};

fn registry_of_three() -> Stage {
    Stage::of("doctor")
}

fn doctor(file: &str, flags: &[&str]) -> Shown {
    run("doctor", file, flags)
}

#[test]
fn a_registry_that_is_well_exits_with_0() {
    let shown = registry_of_three().ask(&[]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    assert_eq!(
        shown.stdout,
        "note: no \"admin\" is configured, so that nobody can be asked; add one, such as {\"bind\":\n  \
         \"127.0.0.1:8181\"}\n\
         \n\
         looked at: the configuration, 3 replicas, the cluster status\n\
         not looked at: a running balancer: none answers\n\
         not looked at: uploads: give --repository, --user and --password-file\n\
         ok: nothing fails now; 1 note\n"
    );
    assert_eq!(shown.stderr, "");
}

#[test]
fn of_a_configuration_that_is_wrong_no_replica_is_looked_at() {
    let mut stage = registry_of_three();
    stage.config["policy"] = json!("best");
    stage.config["idle_timeout"] = json!("5s");
    let shown = stage.show(&[]);
    assert_eq!(shown.code, Some(2), "{}", shown.stdout);
    let first = shown.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("error: ") && first.contains("policy"),
        "{first}"
    );
    shown.says("warning: ");
    shown.says("not looked at: replicas, cluster status and uploads: the configuration is wrong");
    let json = stage.show(&["--json"]);
    assert_eq!(json.code, Some(2));
    let json = json.json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["findings"][0]["about"], json!(["policy"]));
    assert_eq!(json["findings"][0]["source"], "configuration");
}

#[test]
fn what_fails_comes_before_what_differs_and_what_may_be_meant() {
    let mut stage = registry_of_three();
    stage.config["idle_timeout"] = json!("5s");
    stage.is(1, Condition::Failing("rethinkdb: no primary".to_owned()));
    stage.replicas[2].set_deviation(Deviation {
        clock_ahead: Duration::from_secs(60),
        ..Deviation::default()
    });
    let shown = stage.ask(&["--json"]);
    assert_eq!(shown.code, Some(1), "{}", shown.stdout);
    let json = shown.json();
    let findings = json["findings"].as_array().unwrap();
    let seen: Vec<(&str, &str, &Value)> = findings
        .iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap();
            (text("severity"), text("source"), &one["about"])
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("error", "probe", &json!(["r2"])),
            ("error", "comparison", &json!(["r3"])),
            ("error", "cluster-status", &json!(["b2 (r2)"])),
            ("warning", "configuration", &json!(["idle_timeout"])),
            ("note", "balancer", &json!([])),
        ],
        "{json:#}"
    );
    let advice = findings[0]["text"].as_str().unwrap();
    assert!(
        advice.ends_with("look into the log of its rethinkdb"),
        "{advice}"
    );
    assert_eq!(
        json["verdict"],
        "not well: 3 errors, 1 warning, 1 note; begin with the first"
    );
}

#[test]
fn warnings_fail_with_strict_alone() {
    let mut stage = registry_of_three();
    stage.config["idle_timeout"] = json!("5s");
    assert_eq!(stage.show(&[]).code, Some(0));
    let strict = stage.show(&["--strict"]);
    assert_eq!(strict.code, Some(1));
    strict.says("not well: 1 warning, 1 note; begin with the first");
}

#[test]
fn a_running_balancer_is_asked_and_compared_with_the_file() {
    let stage = operator::Stage::new(json!({}));
    stage.row("r1", "healthy");
    stage.row("r2", "healthy");
    stage.does(&["drain", "r2", "--comment", "a new disk"]);
    let written = std::fs::read_to_string(stage.balancer.config().path()).unwrap();
    let mut config: Value = serde_json::from_str(&written).unwrap();
    config["admin"] = json!({ "bind": stage.balancer.admin });
    let file = stage.file("lb.json", &config.to_string());
    // As it was before the balancer began.
    let early = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let opened = std::fs::File::options().write(true).open(&file).unwrap();
    opened.set_modified(early).unwrap();

    let shown = doctor(&file, &[]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    shown.says("note: replica \"r2\" is in drain for ");
    shown
        .says(" s (a new disk), and gets no new connections until it is returned: dtr-lb ready r2");
    shown.says(&format!("the balancer at http://{}", stage.balancer.admin));
    shown.says("ok: nothing fails now; 1 note");

    config["replicas"].as_array_mut().unwrap().pop();
    std::fs::write(&file, config.to_string()).unwrap();
    let shown = doctor(&file, &[]);
    shown.says("warning: the balancer has replicas that the configuration has not: \"r2\"");
    shown.says("was changed after the balancer had read it");

    config["polcy"] = json!("round-robin");
    std::fs::write(&file, config.to_string()).unwrap();
    let shown = doctor(&file, &[]);
    assert_eq!(shown.code, Some(2), "{}{}", shown.stdout, shown.stderr);
    shown.says("unknown field \"polcy\"");
    shown.says("note: replica \"r2\" is in drain for ");
    shown.says(&format!("the balancer at http://{}", stage.balancer.admin));
}

#[test]
fn a_balancer_whose_certificate_was_renewed_since_can_not_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let tls = renew(folder.path(), "own");
    let stage = operator::Stage::new(json!({ "admin": { "bind": "127.0.0.2:0", "tls": tls } }));
    let written = std::fs::read_to_string(stage.balancer.config().path()).unwrap();
    let mut config: Value = serde_json::from_str(&written).unwrap();
    let admin = &stage.balancer.admin;
    config["admin"]["bind"] = json!(admin);
    let file = stage.file("lb.json", &config.to_string());
    renew(folder.path(), "own");

    let shown = doctor(&file, &["--strict"]);

    assert_eq!(shown.code, Some(1), "{}{}", shown.stdout, shown.stderr);
    shown.says(&format!(
        "warning: the balancer at https://{admin} does not say how it is: \
         https://{admin}/status: it shows another certificate"
    ));
    shown.says("not looked at: a running balancer: it can't be asked");
}

#[test]
fn what_listens_in_the_place_of_a_balancer_is_named() {
    let mut stage = registry_of_three();
    let admin = stage.replicas[0].http();
    stage.config["admin"] = json!({ "bind": admin.to_string() });
    let shown = stage.show(&[]);
    shown.says(&format!(
        "warning: the balancer at http://{admin} does not say how it is:"
    ));
    shown.says("not looked at: a running balancer: it can't be asked");
    stage.is(0, Condition::Gone);
    let shown = stage.show(&[]);
    assert_eq!(shown.code, Some(1), "{}", shown.stdout);
    shown.says(&format!("note: no balancer runs at http://{admin} ("));
    shown.says("start the replica, or correct its \"address\" or \"ports\"");
}

#[test]
fn of_several_services_it_is_said_who_gets_the_password() {
    let mut stage = registry_of_three();
    let service = |name: &str| {
        json!({
            "name": name, "fqdn": format!("{name}.example.com"),
            "replicas": stage.config["replicas"], "health": { "verify": "none" },
        })
    };
    stage.config = json!({
        "listeners": stage.config["listeners"],
        "services": [service("dtr"), service("quay")],
        "default": "dtr",
    });
    let refused = stage.ask(&["--insecure"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(
        refused
            .stderr
            .contains("say which with --service: dtr, quay"),
        "{}",
        refused.stderr
    );
    let unknown = stage.show(&["--service", "harbor"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stdout);
    let shown = stage.ask(&["--insecure", "--service", "quay", "--repository", "a"]);
    shown.says("looked at: the configuration, 6 replicas, the cluster status, uploads to a");
    assert_eq!(stage.open_uploads(), 0);
}

#[test]
fn a_password_that_others_may_read_is_found() {
    let stage = registry_of_three();
    let password = stage.folder.path().join("password");
    std::fs::set_permissions(&password, Permissions::from_mode(0o644)).unwrap();
    let shown = stage.ask(&[]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    shown.says("warning: --password-file is ");
}

#[test]
fn what_a_command_can_not_do_is_said_as_json_too() {
    let stage = registry_of_three();
    let shown = stage.show(&["--user", "admin", "--password-file", "/none", "--json"]);
    assert_eq!(shown.code, Some(2), "{}", shown.stdout);
    let json = shown.json();
    let error = json["error"].as_str().unwrap();
    assert!(
        error.starts_with("the password file /none can't be read"),
        "{error}"
    );
    assert_eq!(json["ok"], false);
}

#[test]
fn replicas_that_go_on_with_each_others_uploads_are_well_and_nothing_is_left() {
    let stage = registry_of_three();
    let shown = stage.ask(&["--repository", "demo/probe"]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    shown.says(
        "looked at: the configuration, 3 replicas, the cluster status, uploads to demo/probe",
    );
    shown.says("ok: nothing fails now; 1 note");
    assert_eq!(stage.open_uploads(), 0);
}

#[test]
fn another_secret_and_another_storage_are_told_apart() {
    let mut stage = registry_of_three();
    let other = |secret: &str, storage: &str| Deviation {
        secret: secret.to_owned(),
        storage: storage.to_owned(),
        ..Deviation::default()
    };
    let cases = [
        (
            other("another", ""),
            "error: replica \"r2\" refuses uploads that were begun at \"r1\", \"r3\", or they refuse \
             its own (BLOB_UPLOAD_INVALID)",
        ),
        (
            other("", "another"),
            "error: replica \"r2\" does not know uploads that were begun at \"r1\", \"r3\", or they \
             do not know its own",
        ),
    ];
    for (deviation, expected) in cases {
        stage.replicas[1].set_deviation(deviation);
        let shown = stage.ask(&["--repository", "demo/probe"]);
        assert_eq!(shown.code, Some(1), "{}{}", shown.stdout, shown.stderr);
        shown.says(expected);
        assert_eq!(stage.open_uploads(), 0);
    }
    // Its certificate is not verified any more.
    stage.config["health"]["verify"] = json!("none");
    let refused = stage.ask(&["--repository", "demo/probe"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    assert!(refused.stderr.contains("--insecure"), "{}", refused.stderr);
}

#[test]
fn checks_that_only_connect_do_not_say_which_port_takes_uploads() {
    let mut stage = registry_of_three();
    stage.config["health"] = json!({ "preset": "tcp" });
    let refused = stage.show(&["--repository", "demo/probe"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    let remedy = "no port is known: set health.target, such as \"https:443/_ping\"";
    assert!(refused.stderr.contains(remedy), "{}", refused.stderr);
    stage.config["health"] = json!({ "target": "https:443/_ping", "verify": "ca.pem" });
    stage
        .show(&["--repository", "demo/probe"])
        .says("uploads to demo/probe");
}

#[test]
fn storage_that_lags_is_a_warning() {
    let stage = registry_of_three();
    stage.replicas[2].set_deviation(Deviation {
        lag: 2,
        ..Deviation::default()
    });
    let shown = stage.ask(&["--repository", "demo/probe"]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    shown.says("warning: replica \"r3\" knows uploads of other replicas only after up to ");
    assert_eq!(stage.open_uploads(), 0);
}

#[test]
fn what_was_begun_is_deleted_when_the_test_is_interrupted() {
    let stage = registry_of_three();
    let apart = Deviation {
        storage: "another".to_owned(),
        ..Deviation::default()
    };
    // It is asked for uploads that it never knows, for seconds.
    stage.replicas[1].set_deviation(apart);
    let file = stage.folder.path().join("lb.json");
    std::fs::write(&file, stage.config.to_string()).unwrap();
    let password = stage.folder.path().join("password");
    let login = [
        "--user",
        "admin",
        "--password-file",
        password.to_str().unwrap(),
    ];
    let mut command = dtr_lb(&["doctor", "--config", file.to_str().unwrap()]);
    let command = command.args(["--repository", "demo/probe"]).args(login);
    let doctor = Running::logging(command.stdout(Stdio::null()));
    eventually("an upload", || (stage.open_uploads() > 0).then_some(()));
    doctor.signal(Signal::INT);
    doctor.until("error: interrupted; the uploads that were begun are deleted");
    assert_eq!(doctor.ends(), Some(1));
    assert_eq!(stage.open_uploads(), 0);
}

#[test]
fn an_upload_that_nobody_may_begin_is_no_fault_of_the_replicas() {
    let stage = registry_of_three();
    let shown = stage.show(&["--repository", "demo/probe"]);
    assert_eq!(shown.code, Some(0), "{}{}", shown.stdout, shown.stderr);
    shown.says(
        "warning: no upload can be begun at replicas \"r1\", \"r2\", \"r3\": it asks for a \
         login; give --user and --password-file",
    );
    std::fs::write(stage.folder.path().join("password"), "hunter2\n").unwrap();
    let shown = stage.ask(&["--repository", "demo/probe", "--json"]);
    assert!(
        shown.stdout.contains("the user or the password is wrong"),
        "{}",
        shown.stdout
    );
    for text in [&shown.stdout, &shown.stderr] {
        assert!(
            !text.contains("hunter2") && !text.contains("YWRtaW4"),
            "{text}"
        );
    }
    let refused = stage.ask(&["--repository", "Demo"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("no name of a repository"),
        "{}",
        refused.stderr
    );
}

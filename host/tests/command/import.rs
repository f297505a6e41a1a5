//! `dtr-lb import`: what it writes where, and how it exits.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::{dtr_lb, output, output_of, text};

fn sample(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    folder.join(name).display().to_string()
}

#[test]
fn a_configuration_on_standard_output_is_one_that_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let instances = "i-0a1b2c3d4e5f60001=10.0.0.11,i-0a1b2c3d4e5f60002=10.0.0.12,\
                     i-0a1b2c3d4e5f60003=10.0.0.13";
    let cases = [
        (
            "nginx/guide.conf",
            "--fqdn",
            "dtr.example.com",
            "an NGINX configuration",
        ),
        (
            "elb/guide.json",
            "--instances",
            instances,
            "the description of an AWS ELB",
        ),
    ];
    for (name, flag, value, format) in cases {
        let file = sample(name);
        let imported = output(&["import", &file, flag, value]);
        let report = text(&imported.stderr);
        assert!(imported.status.success(), "{report}");
        assert!(
            report.starts_with(&format!("{file}: {format}\n")),
            "{report}"
        );
        assert!(report.contains(" and 3 replicas: "), "{report}");
        assert!(
            report.ends_with("\n`dtr-lb check` accepts it\n"),
            "{report}"
        );
        let config = folder.path().join("lb.json");
        std::fs::write(&config, &imported.stdout).unwrap();
        let checked = output(&["check", "--config", config.to_str().unwrap()]);
        assert!(checked.status.success(), "{}", text(&checked.stderr));
    }
}

#[test]
fn a_file_is_written_for_its_owner_alone_and_replaced_only_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("lb.json");
    let file = sample("nginx/guide.conf");
    let arguments = ["import", &file, "--out", out.to_str().unwrap()];
    let first = output(&arguments);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(first.stdout.is_empty());
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a token may be in it");
    std::fs::write(&out, "mine").unwrap();
    let second = output(&arguments);
    assert_eq!(second.status.code(), Some(2));
    assert!(
        text(&second.stderr).contains("exists; add --force"),
        "{}",
        text(&second.stderr)
    );
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    let forced = output(&[&arguments[..], &["--force"]].concat());
    assert!(forced.status.success(), "{}", text(&forced.stderr));
    assert!(std::fs::read_to_string(&out).unwrap().contains("10.0.0.13"));
}

#[test]
fn what_can_not_be_imported_or_written_exits_with_its_own_code_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let empty = write("empty", " \n");
    let own = write(
        "lb.json",
        r#"{ "fqdn": "dtr.example.com", "replicas": [] }"#,
    );
    let prose = write("prose", "Dear load balancer,\n");
    let guide = sample("nginx/guide.conf");
    let elb = sample("elb/guide.json");
    let folder_name = folder.path().display().to_string();
    let nowhere: PathBuf = folder.path().join("no/such/lb.json");
    let nowhere = nowhere.to_str().unwrap();
    let cases = [
        (
            vec!["/no/such/nginx.conf"],
            2,
            "can't be read (No such file",
        ),
        (
            vec![&empty],
            2,
            "empty; give the old balancer's configuration",
        ),
        (vec![&own], 2, "this is a configuration of dtr-lb already"),
        (vec![&prose], 2, "say with --format which of them"),
        (
            vec![&prose, "--format", "nginx"],
            2,
            "prose:1:20: a \";\" is missing",
        ),
        (
            vec![&guide, "--only", "dtr_8443"],
            2,
            "nothing here is called \"dtr_8443\"",
        ),
        (
            vec![&guide, "--fqdn", "https://dtr"],
            2,
            "fqdn is \"https://dtr\"; expected the name",
        ),
        (
            vec![&guide, "--verify", "/no/ca.pem"],
            2,
            "nothing is written, since",
        ),
        (
            vec![&guide, "--instances", "i-1"],
            2,
            "expected an id and an address",
        ),
        (
            vec![&elb, "--instances", "i-1=a,i-1=b"],
            2,
            "gives i-1 two addresses",
        ),
        (
            vec![&guide, "--instances", "i-1=a"],
            2,
            "--instances gives addresses to the instances of an AWS ELB, and ",
        ),
        (vec![&guide, "--force"], 2, "--out <FILE>"),
        (
            vec![&guide, "--out", &folder_name],
            2,
            "is no file; give another name",
        ),
        (
            vec![&guide, "--out", nowhere],
            1,
            "can't be written; check the folder",
        ),
    ];
    for (arguments, code, expected) in cases {
        let output = output(&[&["import"], arguments.as_slice()].concat());
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {report}");
        assert!(report.contains(expected), "{arguments:?}: {report}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn standard_input_is_a_file_too() {
    let guide = std::fs::File::open(sample("nginx/guide.conf")).unwrap();
    let mut command = dtr_lb(&["import", "-"]);
    let output = output_of(command.stdin(guide).stdout(Stdio::piped()));
    let report = text(&output.stderr);
    assert!(output.status.success(), "{report}");
    assert!(
        report.contains("standard input:23: taken over: listen 443"),
        "{report}"
    );
}

//! `dtr-lb envoy`.

use std::process::Stdio;

use rustix::process::Signal;

use crate::running::{Running, eventually};
use crate::{dtr_lb, output, text};

#[test]
fn the_envoy_bootstrap_names_the_filter_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let flags = [
        "envoy",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
        "--out",
    ];
    let output = output(&[&flags[..], &[out.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let module = std::fs::read(out.join("dtr_lb_filter.wasm")).unwrap();
    assert!(
        module == dtr_lb::FILTER,
        "another filter than the embedded one"
    );
    let yaml = std::fs::read_to_string(out.join("envoy.yaml")).unwrap();
    let path = out.join("dtr_lb_filter.wasm");
    assert!(
        yaml.contains(&format!("filename: {}", path.display())),
        "{yaml}"
    );
}

#[test]
fn a_folder_that_envoy_watches_is_written_anew_only_where_something_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("watched");
    let write = |policy: &str| {
        let flags = [
            "envoy",
            "--dynamic",
            "--wait",
            "0s",
            "--fqdn",
            "dtr.example.com",
        ];
        // Where nobody listens; 0.0.0.0 would be this machine.
        let admin = [
            "--envoy-admin",
            "127.0.0.1:0",
            "--out",
            out.to_str().unwrap(),
        ];
        let replica = ["--replica", "10.0.0.1", "--policy", policy];
        let output = output(&[&flags[..], &admin, &replica].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    let first = write("round-robin");
    assert!(first.contains("start it with: envoy -c /"), "{first}");
    let clusters = std::fs::read_to_string(out.join("cds.json")).unwrap();
    let filter = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let before = filter("ecds-dtr-lb-443.json");

    assert_eq!(write("round-robin"), "nothing has changed\n");
    let second = write("source-hash");
    assert!(
        second.starts_with("written; the Envoy at 127.0.0.1:0 has not said"),
        "{second}"
    );
    assert_ne!(filter("ecds-dtr-lb-443.json"), before);
    assert_eq!(
        std::fs::read_to_string(out.join("cds.json")).unwrap(),
        clusters
    );
}

#[test]
fn a_wrong_configuration_leaves_what_envoy_watches_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (file, new, out) = (at("lb.json"), at("new"), at("watched"));
    let configure = |replicas: &str| {
        let text = format!(r#"{{ "fqdn": "dtr.example.com", "replicas": [{replicas}] }}"#);
        // At once: it is watched.
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    configure(r#"{ "address": "10.0.0.1" }"#);
    let watching = Running::logging(
        dtr_lb(&["envoy", "--dynamic", "--watch", "--wait", "0s"])
            .args([
                "--envoy-admin",
                "127.0.0.1:0",
                "--out",
                out.to_str().unwrap(),
            ])
            .args(["--config", file.to_str().unwrap()])
            .stdout(Stdio::null()),
    );
    let contents = || {
        let files = std::fs::read_dir(&out).into_iter().flatten();
        let files = files.map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect();
        files.sort();
        files
    };
    // The bootstrap is written last.
    eventually("the files", || {
        out.join("envoy.yaml").exists().then_some(())
    });
    let before = contents();

    configure(r#"{ "address": "10.0.0.1", "weight": 0 }"#);
    let line = watching.until("ERROR");
    assert!(line.contains("replicas[0].weight is 0; "), "{line}");
    assert!(line.ends_with("; Envoy goes on as before"), "{line}");
    assert!(contents() == before, "something has been written");

    configure(r#"{ "address": "10.0.0.1" }, { "address": "10.0.0.2" }"#);
    let line = watching.until("lb.json: ");
    assert!(
        line.contains("lb.json: adds r2 (10.0.0.2); written; "),
        "{line}"
    );
    assert!(contents() != before, "nothing has been written");
    watching.signal(Signal::TERM);
    assert_eq!(watching.ends(), Some(0));
}

#[test]
fn a_folder_that_is_none_of_ours_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cds.json"), "resources: []").unwrap();
    let flags = [
        "envoy",
        "--dynamic",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
    ];
    let output = output(&[&flags[..], &["--out", folder.path().to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("/cds.json holds no list of resources; "),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_can_t_be_watched_is_refused() {
    let flags = ["envoy", "--dynamic", "--watch", "--out", "/nonexistent"];
    let cases = [
        vec!["--config", "-"],
        vec!["--fqdn", "dtr.example.com", "--replica", "10.0.0.1"],
    ];
    for more in cases {
        let output = output(&[&flags[..], &more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        let error = text(&output.stderr);
        assert_eq!(
            error,
            "error: --watch needs a file to watch: give --config FILE\n"
        );
    }
}

/// Writes a configuration and has manifests made of it: exit code, what is printed, and
/// the errors.
fn manifests(bind: &str, flags: &[&str]) -> (Option<i32>, String, String) {
    let listener = format!(r#"{{ "bind": "{bind}", "port": 443 }}"#);
    manifests_of(&format!(r#""listeners": [{listener}]"#), flags)
}

/// The same with these fields.
fn manifests_of(fields: &str, flags: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.json");
    let configuration = format!(
        r#"{{ "fqdn": "dtr.example.com", "replicas": [{{ "address": "10.0.0.1" }}], {fields} }}"#
    );
    std::fs::write(&file, configuration).unwrap();
    let paths = [
        "--config",
        file.to_str().unwrap(),
        "--out",
        folder.path().to_str().unwrap(),
    ];
    let output = output(&[&["envoy"], flags, &paths].concat());
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn manifests_are_refused_where_no_client_would_be_served() {
    let istio = ["--istio", "--wasm-url", "oci://registry.example.com/f:1"];
    let cases: [(&str, &[&str], &str); 4] = [
        (
            "127.0.0.1:8443",
            &["--kubernetes"],
            "listeners[0].bind is 127.0.0.1:8443, which no client reaches in a pod; ",
        ),
        (
            "0.0.0.0:0",
            &istio,
            "listeners[0].bind is 0.0.0.0:0, which no client reaches in a pod; ",
        ),
        ("0.0.0.0:8443", &["--istio"], "--wasm-url <URL>"),
        (
            "0.0.0.0:8443",
            &["--istio", "--wasm-url", "ftp://x/f"],
            "--wasm-url ftp://x/f: Istio fetches from oci://, https:// or http://",
        ),
    ];
    for (bind, flags, expected) in cases {
        let (code, _, errors) = manifests(bind, flags);
        assert_eq!(code, Some(2), "{flags:?}: {errors}");
        assert!(errors.contains(expected), "{flags:?}: {errors}");
    }
}

#[test]
fn what_a_mesh_sets_up_itself_is_refused_there() {
    let istio = ["--istio", "--wasm-url", "oci://registry.example.com/f:1"];
    let cases = [
        (
            r#""accept_proxy_from": ["10.0.0.0/8"]"#,
            "error: accept_proxy_from: Istio sets up the PROXY protocol itself",
        ),
        (
            r#""listeners": [{ "bind": "0.0.0.0:443", "proxy_protocol": "v2" }]"#,
            "error: listeners[].proxy_protocol: Istio sets up the PROXY protocol itself",
        ),
    ];
    for (fields, expected) in cases {
        let (code, _, errors) = manifests_of(fields, &istio);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.starts_with(expected), "{errors}");
        let (code, _, errors) = manifests_of(fields, &["--kubernetes"]);
        assert_eq!(code, Some(0), "{errors}");
    }
}

#[test]
fn a_registry_that_serves_its_own_balancer_is_warned_of() {
    let of = |url| manifests("0.0.0.0:8443", &["--istio", "--wasm-url", url]);
    let (code, printed, errors) = of("oci://dtr.example.com/team/filter:1");
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        printed.contains("warning: dtr.example.com serves the filter that balances it"),
        "{printed}"
    );
    let (_, printed, _) = of("oci://registry.example.com/team/filter:1");
    assert!(!printed.contains("warning"), "{printed}");
    assert!(printed.contains("kubectl apply --filename"), "{printed}");
}

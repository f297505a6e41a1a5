//! What `dtr-lb envoy` writes is what Envoy takes.

use std::fs;
use std::process::{Command, Stdio};

use dtr_lb::config::ConfigFile;
use dtr_lb::envoy::{BootstrapOptions, bootstrap};
use dtr_lb::plan::Plan;
use dtr_lb_tests::{Authority, FILTER, envoy_binary};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Has Envoy check a bootstrap.
fn is_valid(why: &str, yaml: &str, folder: &TempDir) {
    let file = folder.path().join("envoy.yaml");
    fs::write(&file, yaml).unwrap();
    let binary = envoy_binary().unwrap_or_else(|error| panic!("{error:?}"));
    let mut command = Command::new(binary);
    command.args([
        "--mode",
        "validate",
        "--use-dynamic-base-id",
        "--config-path",
    ]);
    let output = command.arg(file).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{why}: {said}");
}

fn replicas(number: usize) -> Value {
    let replica = |number| json!({ "address": format!("10.1.{}.{}", number / 200, number % 200) });
    (0..number).map(replica).collect()
}

#[test]
fn every_bootstrap_is_valid() {
    let folder = TempDir::new().unwrap();
    let roots = folder.path().join("roots.pem");
    Authority::new().write(&roots);
    let wasm = folder.path().join("filter.wasm");
    fs::write(&wasm, FILTER).unwrap();
    let cases = [
        (
            "the shortest",
            json!({ "replicas": [{ "address": "10.0.0.1" }] }),
        ),
        (
            "all that Envoy is given",
            json!({
                "replicas": [
                    { "address": "localhost", "weight": 3, "ports": { "443": 8443 } },
                    { "address": "::1", "backup": true, "max_connections": 7 },
                ],
                "listeners": [
                    { "bind": "[::1]:1443", "port": 443, "max_connections": 9 },
                    { "bind": "127.0.0.1:0", "port": 443 },
                    { "bind": "127.0.0.1:0", "port": 443 },
                    { "bind": "127.0.0.1:0", "port": 5000,
                      "health": { "target": "http:5000/v2/", "preset": "distribution" } },
                ],
                "policy": "source-hash",
                "health": { "verify": roots },
                "max_connections": 100,
                "idle_timeout": "1h",
                "connect_timeout": "1500ms",
                "admin": { "bind": "127.0.0.1:0", "token": "a-token-of-sixteen" },
            }),
        ),
        ("200 replicas", json!({ "replicas": replicas(200) })),
        (
            "several services",
            json!({
                "services": [
                    { "fqdn": "dtr.example.com", "replicas": replicas(3) },
                    { "fqdn": "quay.example.com", "names": ["*.quay.example.com"],
                      "replicas": [{ "address": "10.2.0.1" }], "health": { "verify": roots } },
                ],
                "hello_timeout": "2500ms",
            }),
        ),
    ];
    for (why, fields) in cases {
        let mut config = fields;
        if config.get("services").is_none() {
            config["fqdn"] = "dtr.example.com".into();
        }
        let config = ConfigFile::parse(&config.to_string(), "lb.json");
        let config = config.unwrap_or_else(|error| panic!("{why}: {error}"));
        let options = BootstrapOptions {
            system_roots: roots.clone(),
            ..BootstrapOptions::with_wasm(&wasm)
        };
        is_valid(why, &bootstrap(&Plan::of_file(&config), &options), &folder);
    }
}

#[test]
fn the_example_is_valid() {
    let folder = TempDir::new().unwrap();
    let (wasm, roots) = (
        folder.path().join("filter.wasm"),
        folder.path().join("roots.pem"),
    );
    fs::write(&wasm, FILTER).unwrap();
    Authority::new().write(&roots);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../envoy/envoy.yaml");
    let mut yaml = fs::read_to_string(example).unwrap();
    // What is not on this machine.
    for (path, here) in [
        ("/etc/dtr-lb/dtr_lb_filter.wasm", &wasm),
        ("/etc/ssl/certs/ca-certificates.crt", &roots),
    ] {
        assert!(yaml.contains(path), "{path} is not in the example");
        yaml = yaml.replace(path, &here.display().to_string());
    }
    is_valid("envoy/envoy.yaml", &yaml, &folder);
}

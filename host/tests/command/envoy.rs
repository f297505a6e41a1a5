//! `dtr-lb envoy`.

use crate::{output, text};

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

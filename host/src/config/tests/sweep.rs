//! One thing wrong, everywhere in a whole file.

use serde_json::{Value, json};

use super::errors::errors;
use super::*;

/// A file with every field that needs no other file, and nothing wrong.
fn whole_files() -> [String; 3] {
    let general = r#""idle_timeout": "1h", "half_close_timeout": "1h", "resend_first_flight": true,
        "max_connections": 9, "dns_refresh": "5s", "drain_delay": "1s", "drain_timeout": "1s",
        "watch": true, "takeover_socket": "takeover.sock""#;
    let registry = r#""fqdn": "a.example", "replicas": [{"address": "10.0.0.1", "name": "a", "id": "1"},
            {"address": "10.0.0.2", "weight": 2, "backup": true, "max_connections": 5,
             "state": "drain", "ports": {"443": 8443}},
            {"address": "tasks.registry", "discover": "dns"}],
        "policy": "source-hash", "when_all_down": "refuse", "on_down": "keep",
        "min_healthy": 1, "slow_start": "1s", "compare_interval": "1h",
        "passive": {"fails": 1, "window": "1s", "hold": "1s"},
        "health": {"preset": "dtr", "target": "https:443", "statuses": [200, "300-399"],
             "headers": {"x-a": "b"}, "body": {"pointer": "/a", "healthy": 1},
             "verify": "system", "interval": "3s", "fast_interval": "3s", "down_interval": "1s",
             "timeout": "1s", "jitter": 0.5, "rise": 1, "fall": 1, "start": "up"}"#;
    let shared = r#""connect_timeout": "1s", "nameservers": ["10.0.0.53", "[::1]:5353"],
        "listeners": [{"bind": "0.0.0.0:80", "health": {"preset": "ucp", "target": "http:80",
             "verify": "system"}}, {"bind": "0.0.0.0:8443", "port": 443, "max_connections": 5,
             "proxy_protocol": "v2"}],
        "allow": ["10.0.0.0/8"], "deny": ["10.1.0.0/16"], "per_client_max_connections": 5,
        "accept_proxy_from": ["10.2.0.0/16", "::1"], "proxy_protocol_timeout": "1s",
        "admin": {"bind": "127.0.0.1:8181", "token": "12345678", "protect": "changes"}"#;
    let balancer = format!("{registry}, {shared}");
    let services = format!(
        r#""services": [{{ "name": "a", "names": ["*.a.example"], {registry} }},
            {{ "fqdn": "b.example", "replicas": [{{"address": "10.0.0.3"}}] }}],
        "default": "a", "hello_timeout": "1s", {shared}"#
    );
    let chain = r#""listeners": [{"bind": "0.0.0.0:80", "cluster": "web", "max_connections": 5}],
        "clusters": [{"name": "web", "endpoints": ["10.0.0.1:80", "web.internal:80"],
             "connect_timeout": "1s", "protocol": "http2", "tls": {"verify": "system"}}],
        "admin": {"bind": "127.0.0.1:8181"}"#;
    [&balancer, &services, chain].map(|own| format!("{{ {own}, {general} }}"))
}

/// The JSON pointers of all values in it.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, it)| (format!("{at}/{name}"), it))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, it)| (format!("{at}/{index}"), it))
            .collect(),
        _ => Vec::new(),
    };
    let deeper = inside.iter().flat_map(|(at, it)| pointers(it, at));
    inside
        .iter()
        .map(|(at, _)| at.clone())
        .chain(deeper)
        .collect()
}

#[test]
fn one_wrong_value_anywhere_is_one_error() {
    let mut tried = 0;
    for text in whole_files() {
        ConfigFile::parse(&text, "lb.json").unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        for pointer in pointers(&whole, "") {
            for wrong in [json!([[]]), json!(-1)] {
                let mut file = whole.clone();
                *file.pointer_mut(&pointer).unwrap() = wrong;
                if pointer.ends_with("/health/body/healthy") {
                    continue;
                }
                let found = errors(&file.to_string());
                assert_eq!(found.len(), 1, "{pointer}: {}", found.join("\n"));
                if pointer != "/drain_delay" {
                    file["drain_delay"] = json!(-2);
                    let found = errors(&file.to_string());
                    let all = found.join("\n");
                    assert_eq!(found.len(), 2, "{pointer} hides no other: {all}");
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 250, "{tried}");
}

#[test]
fn no_part_of_a_file_is_accepted_or_panics() {
    for text in whole_files() {
        for (end, _) in text.char_indices() {
            assert!(!errors(&text[..end]).is_empty(), "{}", &text[..end]);
        }
    }
}

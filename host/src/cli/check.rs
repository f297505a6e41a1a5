//! `dtr-lb check`: what a configuration that can be used comes to.

use dtr_lb_filter::config::CheckKind;
use dtr_lb_host::config::{Check, Config};

/// One line for each thing the operator would want to see confirmed.
pub(super) fn summary(config: &Config) -> String {
    let listeners: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| match listener.bind.port() == listener.port {
            true => listener.bind.to_string(),
            false => format!("{} (port {})", listener.bind, listener.port),
        })
        .collect();
    let replicas: Vec<&str> = config
        .replicas
        .iter()
        .map(|replica| replica.name.as_str())
        .collect();
    let checks: Vec<String> = config.checks.iter().map(asked).collect();
    format!(
        "ok: {} listens on {}\n    {} {}: {}\n    asked {} every {}",
        config.fqdn,
        listeners.join(", "),
        replicas.len(),
        match replicas.len() {
            1 => "replica",
            _ => "replicas",
        },
        replicas.join(", "),
        checks.join(" and "),
        humantime::format_duration(config.health.interval),
    )
}

fn asked(check: &Check) -> String {
    match &check.kind {
        CheckKind::Http { scheme, path, .. } => format!("{scheme}:{}{path}", check.port),
        CheckKind::Tcp => format!("tcp:{}", check.port),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn the_summary_says_who_listens_where_and_what_is_asked() {
        let text = r#"{ "fqdn": "dtr.example.com",
            "replicas": [{ "address": "10.0.0.1" }, { "address": "10.0.0.2" }],
            "listeners": [{ "bind": "127.0.0.1:8443", "port": 443 }] }"#;
        let summary = summary(&Config::parse(text, "lb.json").unwrap());
        assert_eq!(
            summary,
            "ok: dtr.example.com listens on 127.0.0.1:8443 (port 443)\n    \
             2 replicas: r1, r2\n    asked https:443/_ping every 2s"
        );
    }
}

//! A configuration in a few lines.

use dtr_lb::config::{Chain, Config, ConfigFile, Services};
use serde_json::{Value, json};

/// For people.
pub(super) fn text(file: &ConfigFile) -> String {
    match file {
        ConfigFile::Balancer(config) => balancer(config),
        ConfigFile::Services(services) => self::services(services),
        ConfigFile::Chain(chain) => self::chain(chain),
        _ => String::new(),
    }
}

/// For programs.
pub(super) fn json(file: &ConfigFile) -> Value {
    match file {
        ConfigFile::Balancer(config) => registry(config),
        ConfigFile::Services(services) => {
            let each = services.services.iter().map(|config| {
                let mut json = registry(config);
                json["name"] = config.service_name().into();
                json["names"] = config.service.as_ref().map(|it| it.names.clone()).into();
                json
            });
            json!({ "services": each.collect::<Value>(), "default": services.default })
        }
        ConfigFile::Chain(chain) => {
            let listeners = (chain.listeners.iter())
                .map(|one| json!({ "bind": one.bind.to_string(), "cluster": one.cluster }));
            let filters: Value = chain.filters.iter().map(|one| one.name.as_str()).collect();
            json!({ "listeners": listeners.collect::<Value>(), "filters": filters })
        }
        _ => Value::Null,
    }
}

fn registry(config: &Config) -> Value {
    let listeners = (config.listeners.iter())
        .map(|one| json!({ "bind": one.bind.to_string(), "port": one.port }));
    let replicas = (config.replicas.iter())
        .map(|one| json!({ "name": one.name, "address": one.address.to_string() }));
    let checks =
        (config.checks.iter()).map(|one| json!({ "name": one.name, "target": one.target() }));
    json!({
        "fqdn": config.fqdn,
        "listeners": listeners.collect::<Value>(),
        "replicas": replicas.collect::<Value>(),
        "checks": checks.collect::<Value>(),
        "interval": humantime::format_duration(config.health.interval).to_string(),
    })
}

/// The listeners, and of each service what leads to it and where it leads.
fn services(services: &Services) -> String {
    let listeners = services.services.first().map(listeners).unwrap_or_default();
    let each = services.services.iter().map(|config| {
        let service = config.service.as_ref();
        let names = service.map(|it| it.names.join(", ")).unwrap_or_default();
        let default = match config.service_name() == Some(services.default.as_str()) {
            true => ", and all others",
            false => "",
        };
        format!("\n{names}{default}:\n{}", replicas_and_probes(config))
    });
    let count = services.services.len();
    let what = if count == 1 { "service" } else { "services" };
    let each: String = each.collect();
    format!("ok: {count} {what} on {listeners}{each}")
}

/// The listeners and filters of a chain.
fn chain(chain: &Chain) -> String {
    let listeners: Vec<String> = (chain.listeners.iter())
        .map(|one| format!("{} for {}", one.bind, one.cluster))
        .collect();
    let filters: Vec<&str> = chain.filters.iter().map(|one| one.name.as_str()).collect();
    let filters = match filters.len() {
        0 => "no filter".to_owned(),
        1 => format!("1 filter: {}", filters.join(", ")),
        count => format!("{count} filters: {}", filters.join(", ")),
    };
    format!("ok: listens on {}\n    {filters}", listeners.join(", "))
}

/// The listeners, replicas and probes of a balancer.
fn balancer(config: &Config) -> String {
    format!(
        "ok: {} listens on {}\n{}",
        config.fqdn,
        listeners(config),
        replicas_and_probes(config)
    )
}

fn listeners(config: &Config) -> String {
    let listeners: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| match listener.bind.port() == listener.port {
            true => listener.bind.to_string(),
            false => format!("{} (port {})", listener.bind, listener.port),
        })
        .collect();
    listeners.join(", ")
}

fn replicas_and_probes(config: &Config) -> String {
    let replicas: Vec<&str> = config
        .replicas
        .iter()
        .map(|replica| replica.name.as_str())
        .collect();
    let checks: Vec<String> = config.checks.iter().map(|check| check.target()).collect();
    format!(
        "    {} {}: {}\n    probes {} every {}",
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn the_summary_names_listeners_replicas_and_probes() {
        let text = r#"{ "fqdn": "dtr.example.com",
            "replicas": [{ "address": "10.0.0.1" }, { "address": "10.0.0.2" }],
            "listeners": [{ "bind": "127.0.0.1:8443", "port": 443 }] }"#;
        let summary = balancer(&Config::parse(text, "lb.json").unwrap());
        assert_eq!(
            summary,
            "ok: dtr.example.com listens on 127.0.0.1:8443 (port 443)\n    \
             2 replicas: r1, r2\n    probes https:443/_ping every 2s"
        );
    }
}

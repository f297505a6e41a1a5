//! The simple case without a file: a name, some addresses.

use serde_json::{Map, Value, json};

/// A configuration as flags. Empty and `None` mean the defaults of the file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The registry's name.
    pub fqdn: String,
    /// Each `ADDRESS` or `NAME=ADDRESS`.
    pub replicas: Vec<String>,
    /// Each `BIND` or `BIND=PORT`, such as `127.0.0.1:8443=443`.
    pub listen: Vec<String>,
    /// Such as `distribution`.
    pub health_preset: Option<String>,
    /// Such as `http:5000/v2/`.
    pub health_target: Option<String>,
    /// `system`, `none` or the path of a PEM file.
    pub verify: Option<String>,
    /// Where the admin listener is bound.
    pub admin: Option<String>,
    /// Such as `round-robin`.
    pub policy: Option<String>,
}

impl Flags {
    /// The same configuration as a file, so that one reader checks both.
    pub(super) fn as_json(&self) -> String {
        let mut file = Map::new();
        file.insert("fqdn".into(), self.fqdn.as_str().into());
        let replicas = self
            .replicas
            .iter()
            .map(|replica| match replica.split_once('=') {
                Some((name, address)) => json!({ "name": name, "address": address }),
                None => json!({ "address": replica }),
            });
        file.insert("replicas".into(), replicas.collect());
        if !self.listen.is_empty() {
            let listeners = self
                .listen
                .iter()
                .map(|listen| match listen.split_once('=') {
                    Some((bind, port)) => json!({ "bind": bind, "port": number(port) }),
                    None => json!({ "bind": listen }),
                });
            file.insert("listeners".into(), listeners.collect());
        }
        let health = [
            ("preset", &self.health_preset),
            ("target", &self.health_target),
            ("verify", &self.verify),
        ];
        let health: Map<String, Value> = health
            .into_iter()
            .filter_map(|(field, value)| Some((field.to_owned(), value.as_deref()?.into())))
            .collect();
        file.insert("health".into(), health.into());
        if let Some(bind) = &self.admin {
            file.insert("admin".into(), json!({ "bind": bind }));
        }
        if let Some(policy) = &self.policy {
            file.insert("policy".into(), policy.as_str().into());
        }
        Value::Object(file).to_string()
    }
}

fn number(text: &str) -> Value {
    text.parse::<u64>()
        .map_or_else(|_| text.into(), Value::from)
}

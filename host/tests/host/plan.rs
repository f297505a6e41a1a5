//! The plan of most tests.

use dtr_lb::config::Config;
use dtr_lb::plan::Plan;
use serde_json::{Value, json};

use crate::replica::Replica;

/// These replicas, called r0, r1 and so on, at one listener.
pub(crate) fn plan(replicas: &[&Replica]) -> Plan {
    let replicas = replicas.iter().enumerate().map(|(at, replica)| {
        json!({
            "name": format!("r{at}"),
            "address": replica.address.ip(),
            "ports": { "443": replica.address.port() },
        })
    });
    plan_of(json!({ "replicas": replicas.collect::<Vec<_>>() }))
}

/// What a configuration comes to that has these fields besides the usual ones.
pub(crate) fn plan_of(fields: Value) -> Plan {
    let mut config = json!({
        "fqdn": "dtr.test",
        "listeners": [{ "bind": "127.0.0.1:0", "port": 443 }],
        "health": { "target": "http:443/_ping" },
        "connect_timeout": "1s",
        "drain_timeout": "1s",
        "admin": { "bind": "127.0.0.1:0" },
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        config[field] = value.clone();
    }
    Plan::of(&Config::parse(&config.to_string(), "test.json").unwrap())
}

//! `dtr-lb run`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dtr_lb_tests::FQDN;
use serde_json::{Value, json};
use tokio::process::Command;

use super::binary::{binary, earlier_binary};
use super::config::{self, CONNECT_TIMEOUT, Check, DRAIN_TIMEOUT, FAST_INTERVAL, INTERVAL, Site};
use super::{Kind, Places};

pub(super) fn command(site: &Site, places: &Places) -> Result<Command> {
    write(site, places)?;
    let program = match earlier_binary() {
        Some(earlier) => earlier,
        None => binary(Kind::Host)?,
    };
    Ok(run(&program, places))
}

/// One that runs what is configured.
pub(super) fn run(program: &Path, places: &Places) -> Command {
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(path(places));
    command
}

pub(super) fn write(site: &Site, places: &Places) -> Result<()> {
    let text = config(site, places).to_string();
    Ok(config::write(&path(places), &text)?)
}

/// Where the configuration is.
pub(super) fn path(places: &Places) -> PathBuf {
    places.folder.join("lb.json")
}

fn config(site: &Site, places: &Places) -> Value {
    let replicas = site.replicas.iter().map(|one| {
        json!({
            "name": one.name,
            "address": one.host,
            "ports": { "80": one.plain, "443": one.tls, "81": one.plain },
        })
    });
    let listener = |bind: SocketAddr, port| json!({ "bind": bind.to_string(), "port": port });
    let mut listeners = vec![listener(places.traffic, 80), listener(places.tls, 443)];
    if site.extra_listener {
        listeners.push(listener(places.extra, 81));
    }
    let mut health = json!({
        "target": "http:80/_ping",
        "interval": INTERVAL,
        "fast_interval": FAST_INTERVAL,
        "timeout": INTERVAL,
        "rise": 2,
        "fall": 3,
    });
    if let Check::Tls(authority) = &site.check {
        health["target"] = "https:443/_ping".into();
        health["verify"] = authority.display().to_string().into();
    }
    let mut config = json!({
        "fqdn": FQDN,
        "replicas": replicas.collect::<Vec<_>>(),
        "listeners": listeners,
        "health": health,
        "connect_timeout": CONNECT_TIMEOUT,
        "dns_refresh": "1s",
        "drain_timeout": DRAIN_TIMEOUT,
        "takeover_socket": "takeover.sock",
        "admin": { "bind": places.admin.to_string() },
    });
    // A port that no listener and no check names is an error.
    if !site.extra_listener {
        for replica in config["replicas"].as_array_mut().into_iter().flatten() {
            if let Some(ports) = replica["ports"].as_object_mut() {
                ports.remove("81");
            }
        }
    }
    for (field, value) in &site.fields {
        config[field] = value.clone();
    }
    config
}

//! How a section chooses one of its servers.

use super::ledger::Ledger;
use super::line::Line;
use super::proxy::Proxy;
use crate::import::found::{At, Policy};

/// What `balance` and `stick on src` say; `None`: nothing, which is round robin.
pub(super) fn policy(proxy: &Proxy<'_>, ledger: &mut Ledger) -> Option<At<Policy>> {
    let balance = proxy.settings.line("balance");
    let algorithm = balance.map_or("", |line| line.text(1));
    let algorithm = algorithm.split('(').next().unwrap_or_default();
    let (balanced, written) = match (algorithm, balance.map_or("", |line| line.text(2))) {
        ("roundrobin" | "static-rr", _) => (Some(Policy::RoundRobin), "round-robin"),
        ("leastconn", _) => (Some(Policy::LeastConnections), "least-connections"),
        ("random", _) => (Some(Policy::RandomTwo), "random-two"),
        ("source", _) | ("hash", "src") => (Some(Policy::SourceHash), "source-hash"),
        _ => (None, ""),
    };
    let stick = proxy.section.lines.iter().find(|line| sticks(line));
    let policy = match stick {
        Some(_) => Some(Policy::SourceHash),
        None => balanced,
    };
    if let Some(line) = proxy.settings.line("hash-type") {
        match policy {
            Some(Policy::SourceHash) => {
                ledger.taken(
                    line,
                    "hash-type: source-hash moves as few clients as it can",
                );
            }
            _ => ledger.not_taken(line, "hash-type: nothing is hashed here"),
        }
    }
    if let Some(line) = balance {
        let name: String = algorithm.chars().take(20).collect();
        if balanced.is_some() && balanced == policy {
            ledger.taken_as(line, "policy", &format!("balance {name}"), written);
        } else if stick.is_some() {
            let text = "balance: where clients are to stick, \"policy\" is source-hash";
            ledger.not_taken(line, text);
        } else {
            let why = match algorithm {
                "uri" | "url_param" | "hdr" => "HTTP only, and round-robin in mode tcp",
                "first" => "not had: \"policy\" is round-robin; a \"backup\" is kept idle",
                _ => "not had: \"policy\" is round-robin",
            };
            ledger.not_taken(line, format!("balance {name}: {why}"));
        }
    }
    if let Some(stick) = stick {
        let old = "stick (the nearest: a client's address decides, and no table is kept)";
        ledger.taken_as(stick, "policy", old, "source-hash");
    }
    let place = stick.or(balance)?.place.clone();
    Some(At {
        value: policy?,
        place,
    })
}

/// `stick on src`, or the same in two lines.
fn sticks(line: &Line) -> bool {
    let is_source = line.text(2) == "src" || line.text(2).starts_with("src,");
    line.text(0) == "stick" && ["on", "match"].contains(&line.text(1)) && is_source
}

//! What the reference, the rules for alerts and the board say of metrics is so.

use std::collections::{BTreeMap, BTreeSet};

use dtr_lb_tests::{Authority, Healthy, LIMIT, Ping, Replica, Unhealthy, eventually, on_host};
use serde_json::{Value, json};

on_host!(
    the_reference_the_alerts_and_the_board_name_what_is_exposed,
    |world| {
        std::fs::write(world.folder().join("password"), "secret\n").unwrap();
        let authority = Authority::new();
        let usual = Replica::pings(Ping::Reveals(0, "nginx/1.27"));
        let well = world.replica(usual.https(&authority)).await;
        let sick = Replica::pings(Ping::fails("garant: down"));
        let sick = world.replica(sick.https(&authority)).await;
        let proxy = world
            .proxy_with(json!({
                "health": { "target": "https:8080/_ping", "verify": "none" },
                "compare_interval": "600ms",
                "cluster_status": {
                    "user": "admin", "password_file": "password", "interval": "1s", "insecure": true,
                },
            }))
            .await;
        proxy.sees(&well, Healthy).await;
        proxy.sees(&sick, Unhealthy).await;

        let reference = reference();
        let exposed = eventually(LIMIT, "every metric of the reference", async || {
            let exposed = exposed(&proxy.metrics_text().await);
            let missing = reference.keys().filter(|name| !exposed.contains_key(*name));
            match missing.collect::<Vec<_>>()[..] {
                [] => Ok(exposed),
                ref missing => Err(format!("{missing:?} are missing")),
            }
        })
        .await;
        for (name, family) in &exposed {
            assert_eq!(reference.get(name), Some(family), "{name}");
        }

        let used = alerts().into_iter().chain(board());
        let used: BTreeSet<String> = used.flat_map(names).collect();
        assert!(used.len() > 30, "{used:?}");
        for name in used {
            let histogram = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|part| name.strip_suffix(part));
            let is_histogram = |name: &&str| {
                let family = exposed.get(*name);
                *name == HISTOGRAM_IN_ENVOY || family.is_some_and(|it| it.kind == "histogram")
            };
            let is_known = exposed.get(&name).is_some_and(|it| it.kind != "histogram")
                || histogram.as_ref().is_some_and(is_histogram)
                || name == "up";
            assert!(is_known, "{name} is used, and not exposed");
        }
    }
);

/// The host shows it in seconds.
const HISTOGRAM_IN_ENVOY: &str = "dtr_lb_replica_probe_duration_milliseconds";

#[derive(Debug, PartialEq)]
struct Family {
    kind: String,
    /// But `service`, which is there where there are several.
    labels: BTreeSet<String>,
}

/// What the tables of the reference say.
fn reference() -> BTreeMap<String, Family> {
    let text = read("docs/metrics.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else {
            return None;
        };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        if !is_ours(name) {
            return None;
        }
        // What follows is a label of several services.
        let labels = labels.split(" with ").next().unwrap_or_default();
        let labels = labels.split('`').skip(1).step_by(2);
        let family = Family {
            kind: kind.to_owned(),
            labels: without_service(labels),
        };
        Some((name.to_owned(), family))
    });
    rows.collect()
}

/// What a proxy shows.
fn exposed(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').unwrap();
            name.clone_into(&mut last);
            let family = Family {
                kind: kind.to_owned(),
                labels: BTreeSet::new(),
            };
            assert_eq!(families.insert(last.clone(), family), None, "{name} twice");
        } else if let Some((_, labels)) = line.split_once('{') {
            let labels = labels.split(',').filter_map(|it| it.split_once('='));
            let labels = labels
                .map(|(label, _)| label)
                .filter(|label| *label != "le");
            let family = families.get_mut(&last).unwrap();
            family.labels.extend(without_service(labels));
        }
    }
    families
}

fn without_service<'a>(labels: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let labels = labels.filter(|label| *label != "service");
    labels.map(str::to_owned).collect()
}

fn alerts() -> Vec<String> {
    let rules: Value = yaml_serde::from_str(&read("packaging/prometheus/alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let queries = rules.map(|rule| rule["expr"].as_str().unwrap().to_owned());
    queries.collect()
}

fn board() -> Vec<String> {
    let board: Value = serde_json::from_str(&read("packaging/grafana/dtr-lb.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let queries = targets.map(|target| &target["expr"]);
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    let variables = variables.filter_map(|variable| variable.get("definition"));
    let all = queries.chain(variables);
    all.map(|query| query.as_str().unwrap().to_owned())
        .collect()
}

/// The metrics that a query names.
fn names(query: String) -> Vec<String> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == ':';
    let words = query.split(|it| !is_part(it));
    let names = words.filter(|word| is_ours(word) || *word == "up");
    names.map(str::to_owned).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("dtr_lb_") || name.starts_with("process_")
}

fn read(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

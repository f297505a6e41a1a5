//! The replicas that an entry of the configuration stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::lookup::{Answer, Found, Record};
use super::own_address::{Machine, OwnAddress};
use crate::config::{Address, Config, ConfigFile, Replica};

/// A configuration with the replicas that its names stand for.
pub(super) struct Expanded {
    pub(super) file: ConfigFile,
    /// What is no replica, since the balancer itself is there.
    pub(super) left_out: BTreeSet<OwnAddress>,
}

/// The configuration with a replica for each that a name stands for, as far as there is an
/// answer: an entry without one stays as it is.
pub(super) fn expand<'a>(
    file: &ConfigFile,
    machine: Machine,
    answer: impl Fn(&str) -> Option<&'a Answer>,
) -> Expanded {
    let mut file = file.clone();
    let mut left_out = BTreeSet::new();
    for config in file.registries_mut() {
        if config.discovers() {
            let others = |entry: &Replica| {
                let name = entry.discovered_name()?;
                let mut found = each(entry, answer(name)?, config.only_port());
                found.retain(|replica| {
                    let own = OwnAddress::of(replica, name, config, machine);
                    let is_other = own.is_none();
                    left_out.extend(own);
                    is_other
                });
                Some(found)
            };
            config.replicas = replicas(config, others);
        }
    }
    Expanded { file, left_out }
}

/// `found` gives what an entry stands for; `None`: itself.
fn replicas(
    config: &Config,
    mut found: impl FnMut(&Replica) -> Option<Vec<Replica>>,
) -> Vec<Replica> {
    let mut replicas: Vec<Replica> = Vec::new();
    for entry in &config.replicas {
        let found = found(entry).unwrap_or_else(|| vec![entry.clone()]);
        for replica in found {
            // One that the file names as well, or another name.
            let twin = |one: &Replica| one.address == replica.address && one.ports == replica.ports;
            let is_known = entry.discover.is_some()
                && (replicas.iter().any(twin) || config.replicas.iter().any(twin));
            if !is_known {
                replicas.push(replica);
            }
        }
    }
    match replicas.is_empty() {
        // Each is another's twin, or the balancer itself.
        true => config.replicas.clone(),
        false => replicas,
    }
}

fn each(entry: &Replica, found: &Answer, port: Option<u16>) -> Vec<Replica> {
    let records = || found.iter().filter_map(|one| one.record.as_ref());
    let first = records().map(|record| record.priority).min();
    let heaviest = records().map(|record| record.weight).max().unwrap_or(0);
    let replica = |one: &Found| Replica {
        name: name(&entry.name, one),
        address: Address::Ip(one.ip),
        discover: None,
        weight: match &one.record {
            None => entry.weight,
            Some(record) => weight(record.weight, heaviest),
        },
        backup: entry.backup
            || one
                .record
                .as_ref()
                .is_some_and(|it| Some(it.priority) > first),
        ports: match (&one.record, port) {
            (Some(record), Some(port)) => BTreeMap::from([(port, record.port)]),
            _ => entry.ports.clone(),
        },
        ..entry.clone()
    };
    found.iter().map(replica).collect()
}

/// Its address makes it unique, and the same replica after any answer.
fn name(entry: &str, found: &Found) -> String {
    let ip = match found.ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => ip.to_string().replace(':', "-"),
    };
    match &found.record {
        None => format!("{entry}-{ip}"),
        Some(Record { port, .. }) => format!("{entry}-{ip}-{port}"),
    }
}

/// From 0 to 65535 there, from 1 to 1000 here: in proportion.
fn weight(of_record: u16, heaviest: u16) -> u32 {
    let (weight, heaviest) = (u32::from(of_record), u32::from(heaviest));
    match heaviest > MOST_WEIGHT {
        true => (weight * MOST_WEIGHT / heaviest).max(1),
        false => weight.max(1),
    }
}

/// As `replicas[].weight`.
const MOST_WEIGHT: u32 = 1000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    fn expanded(replicas: &str, answers: &[(&str, Answer)]) -> ConfigFile {
        let listening = r#""listeners": [{"bind": "0.0.0.0:443"}]"#;
        let text =
            format!(r#"{{"fqdn": "dtr.example.com", "replicas": [{replicas}], {listening}}}"#);
        expanded_on(Machine::Another, &text, answers).file
    }

    fn expanded_on(machine: Machine, text: &str, answers: &[(&str, Answer)]) -> Expanded {
        let file = ConfigFile::parse(text, "lb.json").unwrap();
        expand(&file, machine, |name| {
            let known = answers.iter().find(|(known, _)| *known == name);
            known.map(|(_, answer)| answer)
        })
    }

    /// A line for each: name, address, weight, whether it is a backup, port.
    fn lines(file: &ConfigFile) -> Vec<String> {
        let replicas = file.registries().iter().flat_map(|one| &one.replicas);
        let line = |one: &Replica| {
            let backup = if one.backup { " backup" } else { "" };
            let port = one.port(443);
            format!("{} {}:{port} {}{backup}", one.name, one.address, one.weight)
        };
        replicas.map(line).collect()
    }

    fn found(ip: &str, record: Option<Record>) -> Found {
        let ip = ip.parse().unwrap();
        Found { ip, record }
    }

    fn addresses<const N: usize>(ips: [&str; N]) -> Answer {
        ips.into_iter().map(|ip| found(ip, None)).collect()
    }

    #[test]
    fn each_address_of_a_name_is_a_replica_with_what_the_entry_says() {
        let entry = r#"{"name": "tasks", "address": "tasks.dtr", "discover": "dns",
            "weight": 3, "backup": true, "ports": {"443": 8443}},
            {"address": "10.0.0.9"}"#;
        let cases = [
            (
                "two",
                addresses(["10.0.0.2", "10.0.0.1"]),
                vec![
                    "tasks-10.0.0.1 10.0.0.1:8443 3 backup",
                    "tasks-10.0.0.2 10.0.0.2:8443 3 backup",
                    "r2 10.0.0.9:443 1",
                ],
            ),
            (
                "one of IPv6",
                addresses(["fd00::5"]),
                vec!["tasks-fd00--5 fd00::5:8443 3 backup", "r2 10.0.0.9:443 1"],
            ),
        ];
        for (why, answer, expected) in cases {
            let file = expanded(entry, &[("tasks.dtr", answer)]);
            assert_eq!(lines(&file), expected, "{why}");
            assert!(!file.registries()[0].discovers(), "{why}");
        }
    }

    #[test]
    fn without_an_answer_the_entry_is_a_replica_without_an_address() {
        let entry = r#"{"name": "tasks", "address": "tasks.dtr", "discover": "dns"}"#;
        assert_eq!(lines(&expanded(entry, &[])), ["tasks tasks.dtr:443 1"]);
    }

    #[test]
    fn an_address_of_the_balancer_itself_is_no_replica() {
        use Machine::{Another, This};
        let left = ["tasks-127.0.0.9 127.0.0.9:443 1"];
        let both = [left[0], "tasks-127.0.0.10 127.0.0.10:443 1"];
        let alone = ["tasks tasks.dtr:443 1"];
        let two = || addresses(["127.0.0.9", "127.0.0.10"]);
        let cases = [
            ("the very address", This, "127.0.0.10:443", two(), &left[..]),
            ("on any machine", Another, "127.0.0.10:443", two(), &left),
            ("another port", This, "127.0.0.10:444", two(), &both),
            ("all of this machine", This, "0.0.0.0:443", two(), &alone),
            (
                "all of another machine",
                Another,
                "0.0.0.0:443",
                two(),
                &both,
            ),
            (
                "somebody else",
                This,
                "0.0.0.0:443",
                addresses(["192.0.2.1"]),
                &["tasks-192.0.2.1 192.0.2.1:443 1"],
            ),
        ];
        for (why, machine, bind, answer, expected) in cases {
            let text = format!(
                r#"{{"fqdn": "dtr.example.com", "listeners": [{{"bind": "{bind}", "port": 443}}],
                    "replicas": [{{"name": "tasks", "address": "tasks.dtr", "discover": "dns"}}]}}"#
            );
            let count = answer.len();
            let found = expanded_on(machine, &text, &[("tasks.dtr", answer)]);
            assert_eq!(lines(&found.file), expected, "{why}");
            let replicas = if expected == alone { 0 } else { expected.len() };
            assert_eq!(found.left_out.len(), count - replicas, "{why}");
        }
    }

    #[test]
    fn a_replica_that_has_another_entry_is_one_replica() {
        let entries = r#"{"name": "a", "address": "a.dtr", "discover": "dns"},
            {"name": "b", "address": "b.dtr", "discover": "dns"}, {"address": "10.0.0.1"}"#;
        let answers = [
            ("a.dtr", addresses(["10.0.0.1", "10.0.0.2"])),
            ("b.dtr", addresses(["10.0.0.2", "10.0.0.3"])),
        ];
        let expected = [
            "a-10.0.0.2 10.0.0.2:443 1",
            "b-10.0.0.3 10.0.0.3:443 1",
            "r3 10.0.0.1:443 1",
        ];
        assert_eq!(lines(&expanded(entries, &answers)), expected);
    }

    #[test]
    fn an_srv_record_gives_port_weight_and_who_is_a_backup() {
        let entry = r#"{"name": "s", "address": "_https._tcp.dtr", "discover": "dns"}"#;
        let record = |ip, port, priority, weight| {
            let record = Record {
                port,
                priority,
                weight,
                target: "a.dtr.".to_owned(),
            };
            found(ip, Some(record))
        };
        let cases = [
            (
                "priorities",
                vec![
                    record("10.0.0.1", 8443, 10, 0),
                    record("10.0.0.2", 443, 20, 5),
                ],
                vec![
                    "s-10.0.0.1-8443 10.0.0.1:8443 1",
                    "s-10.0.0.2-443 10.0.0.2:443 5 backup",
                ],
            ),
            (
                "two ports of one address, and weights above ours",
                vec![
                    record("10.0.0.1", 1443, 1, 65535),
                    record("10.0.0.1", 2443, 1, 6553),
                ],
                vec![
                    "s-10.0.0.1-1443 10.0.0.1:1443 1000",
                    "s-10.0.0.1-2443 10.0.0.1:2443 99",
                ],
            ),
        ];
        for (why, answer, expected) in cases {
            let answer = [("_https._tcp.dtr", answer.into_iter().collect())];
            assert_eq!(lines(&expanded(entry, &answer)), expected, "{why}");
        }
    }
}

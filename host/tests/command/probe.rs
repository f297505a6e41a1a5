//! `dtr-lb check --probe`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use dtr_lb::standin::{Condition, Deviation, Registry, Replica};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::balancer::echoing;
use crate::{output, text};

/// Stand-ins, and a configuration that names them.
struct Stage {
    runtime: Runtime,
    folder: TempDir,
    replicas: Vec<Value>,
    /// What trusts them.
    ca_pem: String,
}

/// What the command printed, and how it ended.
struct Probed {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Stage {
    fn new() -> Stage {
        Stage {
            runtime: Runtime::new().unwrap(),
            folder: tempfile::tempdir().unwrap(),
            replicas: Vec::new(),
            ca_pem: String::new(),
        }
    }

    /// Starts a stand-in, whose authority is trusted.
    fn replica(&mut self, registry: &Registry) -> Replica {
        self.ca_pem.push_str(registry.ca_pem());
        let replica = self
            .runtime
            .block_on(registry.replica("r", ANY, ANY))
            .unwrap();
        self.serves(replica.http().port(), replica.https().port());
        replica
    }

    /// A replica that serves port 80 and port 443 there.
    fn serves(&mut self, http: u16, https: u16) {
        self.replicas.push(json!({
            "address": "127.0.0.1", "ports": { "80": http, "443": https },
        }));
    }

    fn is(&self, replica: &Replica, condition: Condition) {
        let changing = replica.set_condition(condition);
        self.runtime.block_on(changing).unwrap();
    }

    fn probe(&self, health: Value) -> Probed {
        let probed = self.run(health, &["--probe"]);
        let wide = probed
            .stdout
            .lines()
            .find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "too wide");
        probed
    }

    fn run(&self, health: Value, options: &[&str]) -> Probed {
        let file = self.folder.path().join("lb.json");
        std::fs::write(self.folder.path().join("ca.pem"), &self.ca_pem).unwrap();
        let config = json!({ "fqdn": FQDN, "replicas": self.replicas, "health": health });
        std::fs::write(&file, config.to_string()).unwrap();
        let command = ["check", "--config", file.to_str().unwrap()];
        let output = output(&[&command, options].concat());
        Probed {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Probed {
    /// What it says, without the breaks of its lines.
    fn says(&self, expected: &str) {
        let words: Vec<&str> = self.stdout.split_whitespace().collect();
        let said = words.join(" ");
        assert!(
            said.contains(expected),
            "no {expected:?} in {}",
            self.stdout
        );
    }

    fn row(&self, replica: &str) -> Vec<&str> {
        let mut lines = self.stdout.lines();
        let row = lines.find(|line| line.split_whitespace().next() == Some(replica));
        let row = row.unwrap_or_else(|| panic!("no {replica} in {}", self.stdout));
        row.split_whitespace().collect()
    }
}

#[test]
fn replicas_that_are_well_and_alike_exit_with_0() {
    let registry = Registry::new(FQDN).unwrap();
    let mut stage = Stage::new();
    let _replicas = [(); 3].map(|()| stage.replica(&registry));
    let probed = stage.probe(json!({ "verify": "ca.pem" }));
    assert_eq!(probed.code, Some(0), "{}{}", probed.stdout, probed.stderr);
    assert!(
        probed
            .stdout
            .ends_with("\nok: all 3 replicas pass their checks and agree\n"),
        "{}",
        probed.stdout
    );
    assert_eq!(
        probed.stderr, "",
        "there is no terminal to show progress on"
    );
    for replica in ["r1", "r2", "r3"] {
        let row = probed.row(replica);
        assert_eq!(row[3..6], ["A", "200", "healthy"], "{}", probed.stdout);
    }
    probed.says("A: for dtr.example.com; signed by CN=dtr-lb stand-in authority");
}

#[test]
fn another_clock_and_another_certificate_are_named() {
    let (registry, other) = (Registry::new(FQDN).unwrap(), Registry::new(FQDN).unwrap());
    let mut stage = Stage::new();
    let slow = stage.replica(&registry);
    let _others = [stage.replica(&other), stage.replica(&registry)];
    slow.set_deviation(Deviation {
        clock_ahead: Duration::from_secs(3690),
        ..Deviation::default()
    });
    let probed = stage.probe(json!({ "verify": "ca.pem" }));
    assert_eq!(probed.code, Some(1), "{}", probed.stdout);
    probed.says("replica \"r1\": its clock is 61 min ");
    probed.says(" ahead of the others'; tokens");
    probed.says("replica \"r2\": its certificate is ");
    let expected = "error: all 3 replicas pass their checks, and 2 things are not alike";
    assert!(probed.stderr.starts_with(expected), "{}", probed.stderr);
    assert_eq!(probed.row("r2")[3], "B", "{}", probed.stdout);
}

#[test]
fn other_software_and_another_way_from_port_80_are_named() {
    let registry = Registry::new(FQDN).unwrap();
    let mut stage = Stage::new();
    let replicas = [(); 3].map(|()| stage.replica(&registry));
    for (replica, server) in replicas
        .iter()
        .zip(["nginx/1.12", "nginx/1.12", "nginx/1.13"])
    {
        replica.set_deviation(Deviation {
            server: Some(server.to_owned()),
            redirect: Some("https://10.0.0.9/".to_owned()),
            ..Deviation::default()
        });
    }
    let probed = stage.probe(json!({ "verify": "none" }));
    assert_eq!(probed.code, Some(1), "{}", probed.stdout);
    probed.says("replica \"r3\": answers with Server: nginx/1.13, the others with nginx/1.12;");
    probed.says("replicas \"r1\", \"r2\", \"r3\": port 80 leads clients to 10.0.0.9, and not");
}

#[test]
fn each_way_to_fail_has_its_own_remedy() {
    let mut stage = Stage::new();
    let registry = Registry::new(FQDN).unwrap();
    let [failing, hanging, gone] = [(); 3].map(|()| stage.replica(&registry));
    stage.is(
        &failing,
        Condition::Failing("garant: no signing key".into()),
    );
    stage.is(&hanging, Condition::Hanging);
    stage.is(&gone, Condition::Gone);
    let _wrong_name = stage.replica(&Registry::new("other.example.com").unwrap());
    let _expired = stage.replica(&Registry::expired(FQDN).unwrap());
    let trusted = stage.ca_pem.clone();
    let _stranger = stage.replica(&Registry::new(FQDN).unwrap());
    stage.ca_pem = trusted;
    let plain = stage.replica(&registry);
    stage.replicas.pop();
    stage.serves(plain.http().port(), plain.http().port());
    stage.serves(plain.http().port(), echoing());

    let probed = stage.probe(json!({ "verify": "ca.pem", "timeout": "1s" }));
    assert_eq!(probed.code, Some(1), "{}", probed.stdout);
    let http = plain.http().port();
    for expected in [
        "replica \"r1\" (127.0.0.1): it answers GET /_ping with 503: garant: no signing key; \
         look into the log of its garant",
        "replica \"r2\" (127.0.0.1): it takes connections and gives no answer to GET /_ping \
         within 1s;",
        "(Connection refused); start the replica",
        "replica \"r4\" (127.0.0.1): its certificate is for other.example.com, and not for \
         dtr.example.com,",
        "replica \"r5\" (127.0.0.1): its certificate expired on 2021-01-01, and clients refuse it",
        "replica \"r6\" (127.0.0.1): its certificate is signed by CN=dtr-lb stand-in authority, \
         whom \"verify\" (",
        "ca.pem) does not trust,",
        &format!(
            "replica \"r7\" (127.0.0.1): port {http} speaks HTTP in the clear, and was asked over \
             TLS; set the target of \"health\" to \"http:443/_ping\""
        ),
        "replica \"r8\" (127.0.0.1): the TLS handshake fails (",
        "replica \"r5\": its certificate expired ",
    ] {
        probed.says(expected);
    }
    // The TLS library has warned of those that do not speak it.
    let last = probed.stderr.lines().last().unwrap_or_default();
    let expected = "error: 8 of 8 replicas fail a check, and ";
    assert!(last.starts_with(expected), "{}", probed.stderr);
    assert_eq!(probed.row("r1")[4..7], ["503", "unhealthy", "garant"]);
    assert_eq!(
        probed.row("r5")[3..6],
        ["C", "-", "unhealthy"],
        "{}",
        probed.stdout
    );
}

#[test]
fn a_check_in_the_clear_still_shows_the_certificate_of_443() {
    let registry = Registry::expired(FQDN).unwrap();
    let mut stage = Stage::new();
    let _replica = stage.replica(&registry);
    let probed = stage.probe(json!({ "target": "http:80/_ping" }));
    assert_eq!(probed.code, Some(1), "{}", probed.stdout);
    probed.says("A: for dtr.example.com; signed by CN=dtr-lb stand-in authority; until 2021-01-01");
    probed.says("replica \"r1\": its certificate expired ");
    let expected = "error: the replica passes its checks, and 1 thing is not alike or not right";
    assert!(probed.stderr.starts_with(expected), "{}", probed.stderr);
}

#[test]
fn tls_on_the_port_of_plain_http_is_reported() {
    let registry = Registry::new(FQDN).unwrap();
    let mut stage = Stage::new();
    let replica = stage.replica(&registry);
    stage.replicas.clear();
    stage.serves(replica.https().port(), replica.https().port());
    // Go answers so to a client that does not speak TLS; no handshake is to be had.
    stage.serves(go(), go());
    let probed = stage.probe(json!({ "target": "http:80/_ping" }));
    assert_eq!(probed.code, Some(1), "{}", probed.stdout);
    let https = replica.https().port();
    probed.says(&format!(
        "replica \"r1\" (127.0.0.1): port {https} speaks TLS, and was asked in the clear; set the \
         target of \"health\" to \"https:80/_ping\""
    ));
    probed.says("replica \"r2\" (127.0.0.1): it answers GET /_ping with 400: Client sent");
}

#[test]
fn a_program_is_shown_the_same_as_people() {
    let registry = Registry::new(FQDN).unwrap();
    let mut stage = Stage::new();
    let [_well, failing] = [(); 2].map(|()| stage.replica(&registry));
    stage.is(&failing, Condition::Disagreeing("notary: down".into()));
    let probed = stage.run(json!({ "verify": "ca.pem" }), &["--probe", "--json"]);
    assert_eq!(probed.code, Some(1), "{}", probed.stdout);
    let object: Value = serde_json::from_str(&probed.stdout).unwrap();
    assert_eq!(object["ok"], false, "{object:#}");
    let results = &object["probe"]["results"];
    assert_eq!(results[0]["verdict"], "healthy", "{results:#}");
    assert_eq!(results[0]["certificate"]["names"], json!([FQDN]));
    let failure = &results[1]["failure"];
    assert_eq!(failure["reason"], "says-unhealthy", "{results:#}");
    assert_eq!(failure["component"], "notary", "{results:#}");
    assert_eq!(
        failure["advice"],
        "its answer to GET /_ping says: notary: down; look into the log of its notary"
    );
    assert_eq!(object["probe"]["disagreements"], json!([]));

    let wrong = stage.run(json!({ "verify": "no.pem" }), &["--probe", "--json"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stdout);
    let object: Value = serde_json::from_str(&wrong.stdout).unwrap();
    assert_eq!(object.get("probe"), None, "nobody was asked: {object:#}");
}

#[test]
fn a_chain_has_no_replicas_to_ask() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain.json");
    let chain = json!({
        "listeners": [{ "bind": "127.0.0.1:0", "cluster": "web" }],
        "clusters": [{ "name": "web", "endpoints": ["127.0.0.1:1"] }],
    });
    std::fs::write(&file, chain.to_string()).unwrap();
    let output = output(&["check", "--config", file.to_str().unwrap(), "--probe"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("--probe asks the replicas of a balancer"),
        "{stderr}"
    );
    let object = crate::output(&[
        "check",
        "--config",
        file.to_str().unwrap(),
        "--probe",
        "--json",
    ]);
    assert_eq!(object.status.code(), Some(2));
    let object: Value = serde_json::from_slice(&object.stdout).unwrap();
    assert_eq!(object["ok"], false);
    let problem = object["errors"][0]["problem"].as_str().unwrap();
    assert!(problem.starts_with("--probe asks"), "{problem}");
}

/// A server that answers every connection as Go's does one that does not speak TLS.
fn go() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 1024];
            // Who leaves early needs no answer.
            let _ = stream.read(&mut request);
            let answer = "Client sent an HTTP request to an HTTPS server.\n";
            let head = format!("HTTP/1.0 400 Bad Request\r\n\r\n{answer}");
            let _ = stream.write_all(head.as_bytes());
        }
    });
    port
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const FQDN: &str = "dtr.example.com";

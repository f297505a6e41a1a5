//! A balancer before one replica, and where it is reached.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ask;
use crate::running::{Running, connect, eventually};

/// A balancer before one replica, and where it is reached.
pub(crate) struct Balancer {
    pub(crate) program: Running,
    pub(crate) address: String,
    pub(crate) admin: String,
    config: Config,
    /// What it has logged until it had started.
    started: Vec<String>,
}

impl Balancer {
    /// Runs the command with `run` and a configuration, and reads its log.
    pub(crate) fn logging(command: &mut Command, config: Config) -> Balancer {
        let program = Running::logging(command.args(config.run()));
        let started = program.lines_until("metrics on http");
        Balancer::reached(program, config, started)
    }

    /// The same, where its log can't be read.
    pub(crate) fn silent(command: &mut Command, config: Config) -> Balancer {
        let program = Running::silent(command.args(config.run()));
        Balancer::reached(program, config, Vec::new())
    }

    fn reached(program: Running, config: Config, started: Vec<String>) -> Balancer {
        let listens = |ip: &str| {
            let ip: IpAddr = ip.parse().unwrap();
            eventually("a listener", || {
                let all = program.listeners();
                all.into_iter().find(|address| address.ip() == ip)
            })
        };
        Balancer {
            address: listens(ADDRESS).to_string(),
            admin: listens(ADMIN).to_string(),
            program,
            config,
            started,
        }
    }

    /// A line with this text, of the start or the next one after it: the first probes
    /// may end before the start does.
    pub(crate) fn logged(&self, text: &str) -> String {
        let mut started = self.started.iter();
        let line = started.find(|line| line.contains(text)).cloned();
        line.unwrap_or_else(|| self.program.until(text))
    }

    /// Its configuration, to be changed before it is read again.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(&self.address)
    }

    /// A metric; `None`: there is none of this name.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = ask(&self.admin, "GET /metrics", "");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }
}

/// The file of a configuration.
pub(crate) struct Config {
    file: PathBuf,
    port: u16,
    _folder: TempDir,
}

impl Config {
    /// Forwards to this port. No filter: there is none to compile.
    pub(crate) fn forwarding(port: u16, fields: Value) -> Config {
        let config = Config::new(port);
        config.forwards(fields);
        config
    }

    /// Balances one replica on this port.
    pub(crate) fn balancing(port: u16, fields: Value) -> Config {
        let config = Config::new(port);
        config.balances(fields);
        config
    }

    /// From now on it balances with these fields besides the usual ones.
    pub(crate) fn balances(&self, fields: Value) {
        let usual = json!({
            "fqdn": "dtr.example.com",
            "replicas": [{ "address": "127.0.0.1", "ports": { "443": self.port } }],
            "listeners": [{ "bind": format!("{ADDRESS}:0"), "port": 443 }],
        });
        self.write_all(usual, fields);
    }

    /// From now on it forwards with these fields besides the usual ones.
    pub(crate) fn forwards(&self, fields: Value) {
        let endpoint = format!("127.0.0.1:{}", self.port);
        let usual = json!({
            "listeners": [{ "bind": format!("{ADDRESS}:0"), "cluster": "web" }],
            "clusters": [{ "name": "web", "endpoints": [endpoint] }],
        });
        self.write_all(usual, fields);
    }

    /// Whatever this is.
    pub(crate) fn write(&self, text: &str) {
        // At once: it may be watched.
        let new = self.file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    pub(crate) fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn new(port: u16) -> Config {
        let folder = tempfile::tempdir().unwrap();
        Config {
            file: folder.path().join("lb.json"),
            port,
            _folder: folder,
        }
    }

    fn write_all(&self, mut config: Value, fields: Value) {
        config["admin"] = json!({ "bind": format!("{ADMIN}:0") });
        for (field, value) in fields.as_object().into_iter().flatten() {
            config[field] = value.clone();
        }
        self.write(&config.to_string());
    }

    fn run(&self) -> [&str; 3] {
        ["run", "--config", self.path()]
    }
}

/// A replica that greets each client and leaves: its port.
pub(crate) fn greeting() -> u16 {
    replica(|mut stream| {
        // Who left before the greeting needs none.
        let _ = stream.write_all(b"hello");
    })
}

/// A replica that sends back what it gets, until the client leaves: its port.
pub(crate) fn echoing() -> u16 {
    replica(|stream| {
        thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
    })
}

fn replica(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let replica = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = replica.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in replica.incoming().map_while(Result::ok) {
            serve(stream);
        }
    });
    port
}

pub(crate) fn is_greeted(client: &mut TcpStream, who: &str) {
    let mut greeting = [0; 5];
    let read = client.read_exact(&mut greeting);
    read.unwrap_or_else(|error| panic!("{who}: {error}"));
    assert_eq!(&greeting, b"hello", "{who}");
}

/// Where clients connect; of another address than [`ADMIN`], since the ports are
/// the system's choice.
const ADDRESS: &str = "127.0.0.1";
const ADMIN: &str = "127.0.0.2";

//! The operator's configuration, read and checked once: what a [`Config`] says
//! is possible, and nothing after it checks again.
//!
//! ```
//! use dtr_lb::config::Config;
//!
//! let text = r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.11" }] }"#;
//! let config = Config::parse(text, "lb.json")?;
//! assert_eq!(config.replicas[0].name, "r1");
//! assert_eq!(config.listeners.len(), 2, "80 and 443");
//! # Ok::<(), dtr_lb::config::ConfigError>(())
//! ```

mod address;
mod chain;
mod check;
mod check_spec;
mod config_file;
mod error;
mod file;
mod flags;
mod network_filter;
mod number;
mod preset;
#[cfg(test)]
mod tests;
mod text;
mod unique_map;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dtr_lb_filter::config::{CheckKind, OnDown, Policy, Start, WhenAllDown};

use crate::plan::{Host, Verify};

use error::Source;

pub use config_file::ConfigFile;
pub use error::ConfigError;
pub use flags::Flags;
pub use network_filter::{Failure, NetworkFilter, VmSettings};

/// What the operator wants, defaults filled in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The name clients use: `Host` and SNI of the probes.
    pub fqdn: String,
    /// In the operator's order; never empty, names unique.
    pub replicas: Vec<Replica>,
    /// Never empty.
    pub listeners: Vec<Listener>,
    /// How one of several usable replicas is picked.
    pub policy: Policy,
    /// What happens to a connection when no replica is usable.
    pub when_all_down: WhenAllDown,
    /// What happens to the sessions of a replica that turns unhealthy.
    pub on_down: OnDown,
    /// The balancer's own `/_ping` says 200 while this many replicas are usable.
    pub min_healthy: u32,
    /// A recovered replica's share grows to its weight within this time; zero: at once.
    pub slow_start: Duration,
    /// When connect failures of real sessions take a replica out.
    pub passive: Passive,
    /// What the listeners' replicas are asked; never empty, names unique.
    pub checks: Vec<Check>,
    /// When they are asked, and how answers add up.
    pub health: Health,
    /// Where the page, the API and the metrics are served; `None`: nowhere.
    pub admin: Option<Admin>,
    /// Filters somebody else wrote, which connections meet before the balancer.
    pub filters: Vec<NetworkFilter>,
    /// How long one connect attempt to a replica may take.
    pub connect_timeout: Duration,
    /// How long a connection may be silent both ways; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// How often DNS names are resolved again.
    pub dns_refresh: Duration,
    /// How long open connections may go on after SIGTERM.
    pub drain_timeout: Duration,
}

/// One replica of the registry.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Unique; letters, digits, `.`, `_` and `-`, at most 63.
    pub name: String,
    /// Where it is.
    pub host: Host,
    /// Its share relative to the others, 1 to 1000.
    pub weight: u32,
    /// Used only when no other replica is usable.
    pub backup: bool,
    /// At most this many connections; `None`: no limit.
    pub max_connections: Option<u32>,
    /// Its own port for a port of the service or of a check.
    pub ports: BTreeMap<u16, u16>,
}

impl Replica {
    /// Its own port for a port of the service or of a check.
    #[must_use]
    pub fn port(&self, port: u16) -> u16 {
        self.ports.get(&port).copied().unwrap_or(port)
    }
}

/// One address where connections are accepted.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Port 0 means any free port.
    pub bind: SocketAddr,
    /// The service's port; never 0.
    pub port: u16,
    /// Name of the [`Check`] a replica must pass to serve it.
    pub check: String,
}

/// One question asked of every replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// `ping`, or `ping-PORT` for a listener's own.
    pub name: String,
    /// The port asked, unless the replica names its own for it.
    pub port: u16,
    /// TLS for the question; `None`: in the clear.
    pub tls: Option<Verify>,
    /// What is asked.
    pub kind: CheckKind,
}

/// When connect failures of real sessions take a replica out.
#[derive(Clone, Copy, Debug)]
pub struct Passive {
    /// So many failures ...
    pub fails: u32,
    /// ... within this time ...
    pub window: Duration,
    /// ... take it out for this time.
    pub hold: Duration,
}

/// When replicas are asked, and how answers add up to a verdict.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// Between two probes of a replica whose state is settled; at least `timeout`.
    pub interval: Duration,
    /// Between two probes while a change is pending.
    pub fast_interval: Duration,
    /// Between two probes of a replica that is down.
    pub down_interval: Duration,
    /// How long a probe may stay unanswered.
    pub timeout: Duration,
    /// Each interval varies by up to this part of itself, 0 to 1.
    pub jitter: f64,
    /// Good answers in a row that bring a replica back.
    pub rise: u32,
    /// Bad answers in a row that take a replica out.
    pub fall: u32,
    /// What a replica counts as before its first answer.
    pub start: Start,
}

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Port 0 means any free port.
    pub bind: SocketAddr,
    /// The bearer token every change needs; `None`: changes need a loopback listener.
    pub token: Option<String>,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// The file can't be read, or [`Config::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, name) = read_file(path)?;
        Self::parse(&text, &name)
    }

    /// Reads and checks the text of a file. `file_name` is for messages, and its
    /// folder is where a relative path in `verify` starts.
    ///
    /// # Errors
    /// The first thing that is wrong: where, which value, and what to do.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        let folder = Path::new(file_name).parent().unwrap_or(Path::new(""));
        let source = Source::File(file_name.to_owned());
        Self::read(without_mark(text), &source, folder)
    }

    /// Reads and checks the flags of the simple case.
    ///
    /// # Errors
    /// The first thing that is wrong: which flag, which value, and what to do.
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigError> {
        Self::read(&flags.as_json(), &Source::Flags, Path::new(""))
    }

    fn read(text: &str, source: &Source, folder: &Path) -> Result<Self, ConfigError> {
        let file = file_of(text, source)?;
        check::checked(file, source, folder)
    }
}

/// A file's text, and its name for messages.
fn read_file(path: &Path) -> Result<(String, String), ConfigError> {
    let name = path.display().to_string();
    let refuse = |problem: String| Source::File(name.clone()).refuse_all(problem);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            refuse(format!(
                "the configuration can't be read ({error}); check the path and its permissions"
            ))
        })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refuse(format!(
            "longer than {} MiB; is this the configuration?",
            LARGEST_FILE >> 20
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        refuse(format!(
            "not UTF-8 at byte {}; save it as UTF-8",
            error.utf8_error().valid_up_to()
        ))
    })?;
    Ok((text, name))
}

/// Some editors begin a UTF-8 file with a mark that is no part of the JSON.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The file a text is, and nothing after it.
fn file_of<T: serde::de::DeserializeOwned>(text: &str, source: &Source) -> Result<T, ConfigError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let file = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| source.refuse_json(text, error))?;
    json.end().map_err(|error| {
        source.refuse_all(format!(
            "more text after the end of the configuration, at line {}, column {}; remove it",
            error.line(),
            error.column()
        ))
    })?;
    Ok(file)
}

/// In bytes; ten thousand replicas fit many times over.
const LARGEST_FILE: u64 = 16 << 20;

//! One server of an upstream, with its parameters.

use std::time::Duration;

use super::directive::Directive;
use super::files::Files;
use super::token::Word;
use super::value::{self, Finest};
use crate::import::endpoint::{HostPort, template};
use crate::import::error::ImportError;
use crate::import::found::{Passive, Server};

/// A server as it stands in the file.
pub(super) struct UpstreamServer {
    pub(super) server: Server,
    pub(super) shown: String,
    /// `None`: nothing is said of failures.
    pub(super) passive: Option<Passive>,
    pub(super) slow_start: Option<Duration>,
    /// Parameters, and why they are not taken over.
    pub(super) not_taken: Vec<(String, &'static str)>,
}

/// Reads a `server` of an upstream.
///
/// # Errors
/// The address or a parameter can't be read.
pub(super) fn read(
    directive: &Directive,
    files: &Files<'_>,
) -> Result<UpstreamServer, ImportError> {
    let Some((address, parameters)) = directive.arguments.split_first() else {
        let problem = "\"server\" takes an address, such as server 10.0.0.11:443;";
        return Err(files.error(&directive.name, problem));
    };
    let service = parameters
        .iter()
        .find(|word| word.text.starts_with("service="));
    if let Some(service) = service {
        let problem = "the servers and their ports are looked up with SRV records; write a server line \
                       with any port in its place, import again, and give that replica the records' \
                       name, such as _https._tcp.dtr.example.com, and \"discover\": \"dns\"";
        return Err(files.error(service, problem));
    }
    let (host, port) = endpoint(address).map_err(|problem| files.error(address, problem))?;
    let mut read = UpstreamServer {
        server: Server {
            name: None,
            place: files.place_of(directive),
            host,
            port,
            weight: 1,
            backup: false,
            in_maintenance: false,
            max_connections: None,
        },
        shown: directive.shown(),
        passive: None,
        slow_start: None,
        not_taken: Vec::new(),
    };
    let mut failures = Failures::default();
    for word in parameters {
        let known = read.parameter(word, &mut failures);
        known.map_err(|problem| files.value_error(word, problem))?;
    }
    if failures.fails == Some(0) {
        let reason = "failures are always counted: as many as \"passive\" says hold a replica back";
        read.not_taken.push(("max_fails=0".to_owned(), reason));
    } else if failures.fails.is_some() || failures.timeout.is_some() {
        let timeout = failures.timeout.unwrap_or(FAIL_TIMEOUT);
        read.passive = Some(Passive {
            fails: failures.fails.unwrap_or(MAX_FAILS),
            window: timeout,
            hold: timeout,
        });
    }
    Ok(read)
}

/// The address of a server, which must have a port.
///
/// # Errors
/// What is wrong with it.
pub(super) fn endpoint(word: &Word) -> Result<(String, u16), String> {
    let HostPort { host, port } = HostPort::read(&word.text)?;
    let port = port.ok_or_else(|| {
        format!(
            "{:?} has no port; NGINX's streams need one, such as {host}:443",
            word.text
        )
    })?;
    Ok((host, port))
}

#[derive(Default)]
struct Failures {
    fails: Option<u64>,
    timeout: Option<Duration>,
}

impl UpstreamServer {
    fn parameter(&mut self, word: &Word, failures: &mut Failures) -> Result<(), String> {
        let text = word.text.as_str();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if let Some(problem) = value.and_then(template) {
            return Err(problem);
        }
        match (name, value) {
            ("weight", Some(value)) => self.server.weight = positive(value)?,
            ("max_conns", Some(value)) => {
                self.server.max_connections = Some(value::count(value)?).filter(|most| *most > 0);
            }
            ("max_fails", Some(value)) => failures.fails = Some(value::count(value)?),
            ("fail_timeout", Some(value)) => {
                let timeout = value::time(value, Finest::Seconds)?;
                // Within no time nothing is counted.
                if timeout.is_zero() {
                    failures.fails = Some(0);
                }
                failures.timeout = Some(timeout);
            }
            ("slow_start", Some(value)) => {
                self.slow_start = Some(value::time(value, Finest::Seconds)?);
            }
            ("backup", None) => self.server.backup = true,
            ("down", None) => self.server.in_maintenance = true,
            ("resolve", None) => {
                let reason = "names are always resolved again, every 5 s (\"dns_refresh\"); to one \
                              that stands for many replicas give \"discover\": \"dns\"";
                self.not_taken.push((text.to_owned(), reason));
            }
            ("route" | "drain", _) => {
                let reason = "there is no equivalent here";
                self.not_taken.push((text.to_owned(), reason));
            }
            _ => {
                return Err(format!(
                    "{text:?} is no parameter of an upstream's \"server\"; known: weight=, \
                     max_conns=, max_fails=, fail_timeout=, slow_start=, backup, down, resolve"
                ));
            }
        }
        Ok(())
    }
}

fn positive(text: &str) -> Result<u64, String> {
    match value::count(text)? {
        0 => Err("0 is no weight; give one from 1".to_owned()),
        count => Ok(count),
    }
}

/// NGINX's defaults, where one of the two is given.
const MAX_FAILS: u64 = 1;
const FAIL_TIMEOUT: Duration = Duration::from_secs(10);

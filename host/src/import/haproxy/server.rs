//! The servers of a section.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::ledger::Ledger;
use super::line::Line;
use super::params::{self, Params};
use super::proxy::Proxy;
use super::source::Source;
use crate::config::is_srv;
use crate::import::endpoint::HostPort;
use crate::import::error::ImportError;
use crate::import::found;
use crate::import::number;

/// A server, and what its line and those before it say.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) line: &'a Line,
    pub(super) params: Params,
    /// Keywords of its line.
    keywords: Vec<&'a str>,
    host: String,
    port: Port,
}

/// Which port of a server connections go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Fixed(u16),
    /// The port that the client connected to, and so much more.
    Relative(i32),
}

impl<'a> Server<'a> {
    /// Whether where it is reached depends on where the client connected.
    pub(super) fn is_relative(&self) -> bool {
        matches!(self.port, Port::Relative(_))
    }

    /// As it is reached by clients of a port.
    ///
    /// # Errors
    /// Its port would be none.
    pub(super) fn found(
        &self,
        source: &Source<'_>,
        client_port: u16,
    ) -> Result<found::Server, ImportError> {
        let port = match self.port {
            Port::Fixed(port) => port,
            Port::Relative(more) => {
                let port = i32::from(client_port).checked_add(more);
                let port = port.and_then(|port| u16::try_from(port).ok());
                port.filter(|port| *port > 0).ok_or_else(|| {
                    let problem = format!("{client_port} and {more} more is no port");
                    source.wrong(self.line, 2, problem)
                })?
            }
        };
        Ok(found::Server {
            name: Some(self.line.text(1).to_owned()),
            place: self.line.place.clone(),
            host: self.host.clone(),
            port,
            weight: self.params.weight.unwrap_or(1),
            backup: self.params.backup,
            in_maintenance: self.params.disabled,
            max_connections: self.params.max_connections.filter(|limit| *limit > 0),
        })
    }

    /// Why no connection can be given to it as it stands.
    pub(super) fn refused(&self, source: &Source<'_>) -> Option<ImportError> {
        if is_srv(&self.host) {
            let problem = "the name is one of SRV records, each of which is a server; write an address \
                           and a port in its place, import again, and give that replica this name and \
                           \"discover\": \"dns\"";
            return Some(source.wrong(self.line, 2, problem));
        }
        let mut words = self.line.words.iter();
        let index = words.position(|word| word.text == "ssl").unwrap_or(0);
        let problem = "ssl encrypts once more what passes through: clients that speak TLS would get TLS inside \
                       TLS, and dtr-lb passes TCP as it is; take ssl out, and for checks alone say check-ssl";
        let encrypts = self.params.encrypts;
        encrypts.then(|| source.wrong(self.line, index, problem))
    }

    fn read(
        source: &Source<'_>,
        line: &'a Line,
        mut params: Params,
        ledger: &mut Ledger,
    ) -> Result<Self, ImportError> {
        source.name(line, 1)?;
        let text = source.value(line, 2, "an address")?;
        let (host, port) = address(text).map_err(|problem| source.wrong(line, 2, problem))?;
        let keywords = params.apply(source, line, 3, ledger)?;
        Ok(Server {
            line,
            params,
            keywords,
            host,
            port,
        })
    }
}

/// The servers of a section that may be given connections.
///
/// # Errors
/// A line can't be read, two servers have one name, or there are too many.
pub(super) fn servers<'a>(
    source: &Source<'_>,
    proxy: &Proxy<'a>,
    ledger: &mut Ledger,
) -> Result<Vec<Server<'a>>, ImportError> {
    let mut defaults = Defaults::default();
    for line in proxy.inherited.default_servers().iter() {
        defaults.apply(source, line, ledger)?;
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut servers = Vec::new();
    for line in &proxy.section.lines {
        match line.text(0) {
            "default-server" => defaults.apply(source, line, ledger)?,
            "server-template" => {
                let problem = "server-template makes several servers of one name, each with another of its \
                               addresses; write one server line in its place, import again, and give \
                               that replica \"discover\": \"dns\"";
                return Err(source.wrong(line, 0, problem));
            }
            "server" => {
                if servers.len() == MOST_SERVERS {
                    let problem = format!("more than {MOST_SERVERS} servers");
                    return Err(source.wrong(line, 0, problem));
                }
                let server = Server::read(source, line, defaults.params.clone(), ledger)?;
                for (line, text) in std::mem::take(&mut defaults.unused) {
                    ledger.taken(&line, text);
                }
                if let Some(first) = names.insert(line.text(1), line.place.line) {
                    let problem = format!(
                        "{:?} is the name of the server in line {first} as well",
                        line.text(1)
                    );
                    return Err(source.wrong(line, 1, problem));
                }
                if server.params.weight == Some(0) {
                    let why = "its weight is 0, and it is left out; add it to \"replicas\" when it \
                               serves again";
                    ledger.not_taken(line, format!("server {}: {why}", line.text(1)));
                } else {
                    servers.push(server);
                }
            }
            _ => {}
        }
    }
    Ok(servers)
}

/// What `default-server` lines say so far.
#[derive(Default)]
struct Defaults {
    params: Params,
    count: usize,
    /// Lines that no server has had yet, and what to say of them then.
    unused: Vec<(Rc<Line>, String)>,
}

impl Defaults {
    fn apply(
        &mut self,
        source: &Source<'_>,
        line: &Rc<Line>,
        ledger: &mut Ledger,
    ) -> Result<(), ImportError> {
        self.count += 1;
        if self.count > MOST_DEFAULTS {
            let problem = format!("more than {MOST_DEFAULTS} default-server lines for one section");
            return Err(source.wrong(line, 0, problem));
        }
        let keywords = self.params.apply(source, line, 1, ledger)?.join(", ");
        let text = format!("default-server: {keywords}, for the servers below it");
        self.unused.push((Rc::clone(line), text));
        Ok(())
    }
}

/// Says which replica each server became.
pub(super) fn note(servers: &[Server<'_>], ledger: &mut Ledger) {
    for server in servers {
        let (name, host) = (server.line.text(1), &server.host);
        let port = match server.port {
            Port::Fixed(port) => format!("port {port}"),
            Port::Relative(0) => "the port that clients connect to".to_owned(),
            Port::Relative(more) => format!("the port that clients connect to and {more:+}"),
        };
        let with = match server.keywords.is_empty() {
            true => String::new(),
            false => format!(", with {}", server.keywords.join(", ")),
        };
        ledger.taken(
            server.line,
            format!("server {name}: a replica, {host}, {port}{with}"),
        );
    }
    let lines: Vec<&Line> = servers.iter().map(|server| server.line).collect();
    let params: Vec<&Params> = servers.iter().map(|server| &server.params).collect();
    params::note_differences(&lines, &params, ledger);
}

/// A host, and its port as HAProxy reads it: behind the last colon.
fn address(text: &str) -> Result<(String, Port), String> {
    let (family, rest) = text.split_once('@').unwrap_or(("", text));
    let plain = match family {
        "" | "ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6" | "mptcp" => rest,
        _ => {
            return Err(format!(
                "{family} can't be a replica; give an address of TCP"
            ));
        }
    };
    let (host, port) = match plain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (plain, ""),
    };
    // A host with colons needs its brackets to be read.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = match bare.contains(':') {
        true => HostPort::read(&format!("[{bare}]"))?.host,
        false => HostPort::read(bare)?.host,
    };
    if host.len() > LONGEST_HOST {
        return Err(format!("the host is longer than {LONGEST_HOST} characters"));
    }
    let no_port = || format!("{port:?} is no port; give one from 1 to 65535");
    let (sign, number) = match port.split_at_checked(1) {
        Some(("+", number)) => (1, number),
        Some(("-", number)) => (-1, number),
        _ => (0, port),
    };
    let number = match (number, sign) {
        ("" | "0", 0) => return Ok((host, Port::Relative(0))),
        _ => number::digits(number).and_then(|port| u16::try_from(port).ok()),
    };
    let number = number.ok_or_else(no_port)?;
    Ok(match sign {
        0 => (host, Port::Fixed(number)),
        _ => (host, Port::Relative(i32::from(number) * sign)),
    })
}

/// Over all sections that are taken over, too.
pub(super) const MOST_SERVERS: usize = 10_000;
/// Of `default-server`, in one section with its defaults.
const MOST_DEFAULTS: usize = 100;
/// DNS has no longer names.
const LONGEST_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_port_stands_behind_the_last_colon() {
        let cases = [
            ("10.0.0.11:443", "10.0.0.11", Port::Fixed(443)),
            ("10.0.0.11", "10.0.0.11", Port::Relative(0)),
            ("10.0.0.11:", "10.0.0.11", Port::Relative(0)),
            ("10.0.0.11:+1000", "10.0.0.11", Port::Relative(1000)),
            ("10.0.0.11:-80", "10.0.0.11", Port::Relative(-80)),
            ("dtr1.example.com:443", "dtr1.example.com", Port::Fixed(443)),
            ("ipv4@10.0.0.11:443", "10.0.0.11", Port::Fixed(443)),
            ("[fd00::1]:443", "fd00::1", Port::Fixed(443)),
            ("fd00::1:443", "fd00::1", Port::Fixed(443)),
            ("[fd00::1]", "fd00::1", Port::Relative(0)),
        ];
        for (text, host, port) in cases {
            assert_eq!(address(text), Ok((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_by_name() {
        let cases = [
            ("/run/dtr.sock", "\"/run/dtr.sock\" is a socket"),
            ("unix@/run/dtr.sock", "unix can't be"),
            ("abns@dtr", "abns can't be"),
            ("10.0.0.1:https", "\"https\" is no port"),
            ("10.0.0.1:65536", "\"65536\" is no port"),
            ("10.0.0.1:+", "\"+\" is no port"),
            ("a b:80", "\"a b\" is neither"),
            (":80", "\"\" is neither"),
        ];
        for (text, expected) in cases {
            let problem = address(text).err().unwrap_or_default();
            assert!(problem.starts_with(expected), "{text}: {problem}");
        }
    }
}

//! Where clients connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use super::keyword::{self, Arities, Keyword};
use super::ledger::Ledger;
use super::line::Line;
use super::section::Section;
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::found::At;
use crate::import::number;
use crate::import::proxy_protocol;
use crate::import::written;

/// The addresses of a section.
#[derive(Debug, Default)]
pub(super) struct Binds<'a> {
    /// What passes TCP through.
    pub(super) plain: Vec<(At<SocketAddr>, &'a Line)>,
    /// Lines on which TLS ends, and where each is first reached, which matters only to
    /// a page.
    pub(super) tls: Vec<(Result<At<SocketAddr>, ImportError>, &'a Line)>,
    /// Sockets that only this machine reaches.
    local: Vec<(&'a Line, &'a str)>,
    /// Of single lines, which is the whole of a section when it has no other line.
    pub(super) max_connections: Option<At<u64>>,
}

/// Reads the `bind` lines, and the address in the first line of an old `listen`.
///
/// # Errors
/// An address that can't be had: a host's name, a placeholder, a long range, or a path
/// where there is nothing else.
pub(super) fn binds<'a>(
    source: &Source<'_>,
    section: &'a Section,
    ledger: &mut Ledger,
) -> Result<Binds<'a>, ImportError> {
    let mut binds = Binds::default();
    let old_style = section.head.text(2);
    if !old_style.is_empty() && old_style != "from" {
        binds.add(source, &section.head, 2, ledger)?;
    }
    let lines = section.lines.iter().filter(|line| line.text(0) == "bind");
    for line in lines {
        binds.add(source, line, 1, ledger)?;
    }
    if let (true, Some((line, text))) = (
        binds.plain.is_empty() && binds.tls.is_empty(),
        binds.local.first(),
    ) {
        addresses(text, &mut Vec::new()).map_err(|problem| source.wrong(line, 1, problem))?;
    }
    if binds.plain.len() > 1 {
        binds.max_connections = None;
    }
    Ok(binds)
}

/// Says which listeners each line became.
pub(super) fn note(binds: &Binds<'_>, ledger: &mut Ledger) {
    let same = |(_, one): &(_, &Line), (_, other): &(_, &Line)| one.place == other.place;
    for of_line in binds.plain.chunk_by(same) {
        let all = written::list(of_line.iter().map(|(bind, _)| bind.value.to_string()));
        for (_, line) in of_line {
            ledger.taken(line, format!("bind: \"listeners\" has {all}"));
        }
    }
    for (line, text) in &binds.local {
        let reason = "a socket of this machine is not listened on, only TCP";
        match ledger.has_taken(line) {
            true => ledger.left(line, text, reason),
            false => ledger.not_taken(line, format!("bind: {reason}")),
        }
    }
    for (_, line) in &binds.tls {
        ledger.not_taken(
            line,
            "bind: TLS ends here (ssl), and dtr-lb passes it through",
        );
    }
}

impl<'a> Binds<'a> {
    fn add(
        &mut self,
        source: &Source<'_>,
        line: &'a Line,
        index: usize,
        ledger: &mut Ledger,
    ) -> Result<(), ImportError> {
        let text = source.value(line, index, "an address and a port")?;
        let keywords = keyword::keywords(line, index + 1, &KEYWORDS);
        if keywords.iter().any(|keyword| keyword.name == "ssl") {
            let place = line.place.clone();
            let address = first_address(text).map(|value| At { value, place });
            let address = address.map_err(|problem| source.wrong(line, index, problem));
            self.tls.push((address, line));
            return Ok(());
        }
        let has = |name| keywords.iter().any(|keyword| keyword.name == name);
        let mut added = Vec::new();
        for part in text.split(',') {
            if is_local(part) {
                self.local.push((line, part));
                continue;
            }
            addresses(part, &mut added).map_err(|problem| source.wrong(line, index, problem))?;
        }
        if added.is_empty() {
            return Ok(());
        }
        if has("v4v6") {
            let both = added.iter().filter(|one| one.ip() == Ipv6Addr::UNSPECIFIED);
            let both: Vec<SocketAddr> = both
                .map(|one| SocketAddr::from((Ipv4Addr::UNSPECIFIED, one.port())))
                .collect();
            added.extend(both);
        }
        for value in added {
            let place = line.place.clone();
            self.plain.push((At { value, place }, line));
        }
        for keyword in &keywords {
            self.option(source, line, keyword, ledger)?;
        }
        Ok(())
    }

    /// What else a `bind` line says.
    fn option(
        &mut self,
        source: &Source<'_>,
        line: &Line,
        keyword: &Keyword<'_>,
        ledger: &mut Ledger,
    ) -> Result<(), ImportError> {
        let name = keyword.name;
        let why = match name {
            "v4v6" | "v6only" | "name" | "id" => return Ok(()),
            "maxconn" => {
                let value = source.number(line, keyword.index + 1, (0, u64::MAX))?;
                let place = line.place.clone();
                self.max_connections = (value > 0).then_some(At { value, place });
                return Ok(());
            }
            "accept-netscaler-cip" => {
                ledger.advice(line, format!("{name}: {}", proxy_protocol::NETSCALER));
                "not had: only the header of the PROXY protocol is read"
            }
            "accept-proxy" => {
                ledger.advice(line, format!("{name}: {}", proxy_protocol::READ));
                "nobody is believed whose network is not named"
            }
            "interface" => "not had: an address is listened on, not an interface; bind its address",
            "transparent" => "not had: only addresses of this machine",
            _ if keyword.is_known => "no part here",
            _ => "unknown here",
        };
        ledger.left(line, name, why);
        Ok(())
    }
}

/// Whether this is a path, or another socket that no other machine reaches.
fn is_local(text: &str) -> bool {
    let (family, rest) = text.split_once('@').unwrap_or(("", text));
    let families = ["unix", "uxst", "abns", "abnsz", "fd", "sockpair"];
    rest.starts_with('/') || families.contains(&family)
}

/// The first address of a line.
fn first_address(text: &str) -> Result<SocketAddr, String> {
    let part = text.split(',').find(|part| !is_local(part));
    let mut found = Vec::new();
    addresses(part.unwrap_or(text), &mut found)?;
    let first = found.first().copied();
    first.ok_or_else(|| format!("{text:?} has no address"))
}

/// The addresses of `HOST:PORT` or `HOST:FIRST-LAST`.
fn addresses(text: &str, addresses: &mut Vec<SocketAddr>) -> Result<(), String> {
    let (family, text) = match text.split_once('@') {
        Some((family, rest)) => (family, rest),
        None => ("", text),
    };
    let is_path = text.starts_with('/');
    if is_path || !["", "ipv4", "ipv6", "tcp", "tcp4", "tcp6", "mptcp"].contains(&family) {
        let what = if is_path { "a path" } else { family };
        return Err(format!(
            "{what} can't be listened on; give an IP address and a port"
        ));
    }
    let Some((host, ports)) = text.rsplit_once(':') else {
        return Err(format!(
            "{text:?} has no port; give one, such as {text}:443"
        ));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = match host {
        "" | "*" if family.ends_with('6') => Ipv6Addr::UNSPECIFIED.into(),
        "" | "*" => Ipv4Addr::UNSPECIFIED.into(),
        _ => host
            .parse()
            .map_err(|_| format!("{host:?} is no IP address; give the one it stands for"))?,
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| {
        number::port(text).ok_or_else(|| format!("{text:?} is no port; give one from 1 to 65535"))
    };
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        return Err(format!("the range {ports} ends before it begins"));
    }
    for port in first..=last {
        if addresses.len() == MOST_ADDRESSES {
            return Err(format!(
                "more than {MOST_ADDRESSES} addresses on one line; list those that are used"
            ));
        }
        addresses.push(SocketAddr::new(ip, port));
    }
    Ok(())
}

const MOST_ADDRESSES: usize = 16;

/// The keywords that there are.
static KEYWORDS: LazyLock<Arities> = LazyLock::new(|| {
    keyword::arities(
        "ssl v4v6 v6only accept-proxy transparent allow-0rtt defer-accept generate-certificates \
         no-alpn no-ca-names no-sslv3 no-strict-sni no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 \
         no-tlsv13 force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 \
         prefer-client-ciphers strict-sni tls-tickets tfo quic-force-retry ktls",
        "maxconn name id interface accept-netscaler-cip alpn backlog ca-file ca-ignore-err \
         ca-sign-file ca-sign-pass ca-verify-file cc ciphers ciphersuites client-sigalgs crl-file crt \
         crt-ignore-err crt-list curves default-crt ecdhe expose-fd gid group guid-prefix idle-ping \
         label level mode mss namespace nbconn nice npn ocsp-update proto process quic-cc-algo \
         quic-socket severity-output shards sigalgs ssl-max-ver ssl-min-ver tcp-md5sig tcp-ss tcp-ut \
         thread tls-ticket-keys uid user verify",
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_haproxy_reads_them() {
        let cases: [(&str, &[&str]); 9] = [
            ("*:443", &["0.0.0.0:443"]),
            (":443", &["0.0.0.0:443"]),
            ("0.0.0.0:443", &["0.0.0.0:443"]),
            ("ipv4@10.0.0.1:80", &["10.0.0.1:80"]),
            ("[::]:443", &["[::]:443"]),
            (":::443", &["[::]:443"]),
            ("ipv6@:443", &["[::]:443"]),
            ("[fd00::1]:443", &["[fd00::1]:443"]),
            (
                ":8000-8002",
                &["0.0.0.0:8000", "0.0.0.0:8001", "0.0.0.0:8002"],
            ),
        ];
        for (text, expected) in cases {
            let mut found = Vec::new();
            addresses(text, &mut found).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            let found: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_can_not_be_listened_on_is_refused_by_name() {
        let cases = [
            ("/run/lb.sock", "a path can't be listened on"),
            ("unix@lb.sock", "unix can't be"),
            ("fd@3", "fd can't be"),
            ("quic4@:443", "quic4 can't be"),
            ("10.0.0.1", "\"10.0.0.1\" has no port"),
            (
                "dtr.example.com:443",
                "\"dtr.example.com\" is no IP address",
            ),
            (":0", "\"0\" is no port"),
            (":+1", "\"+1\" is no port"),
            (":65536", "\"65536\" is no port"),
            (":20-10", "the range 20-10 ends before"),
            (":8000-8016", "more than 16 addresses"),
        ];
        for (text, expected) in cases {
            let problem = addresses(text, &mut Vec::new()).err().unwrap_or_default();
            assert!(problem.starts_with(expected), "{text}: {problem}");
        }
    }
}

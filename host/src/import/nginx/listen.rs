//! Addresses that an NGINX server listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::directive::Directive;
use super::files::Files;
use super::token::Word;
use crate::import::endpoint::template;
use crate::import::error::ImportError;
use crate::import::found::At;
use crate::import::note::Notes;
use crate::import::number;
use crate::import::proxy_protocol;

/// What a `listen` comes to.
pub(super) enum Listen {
    /// TCP on these addresses, as it comes.
    Tcp(Vec<SocketAddr>),
    /// What can't be listened to here, and why.
    Other(String),
}

/// Reads the address and the parameters.
///
/// # Errors
/// A word is none that NGINX knows.
pub(super) fn read(directive: &Directive, files: &Files<'_>) -> Result<Listen, ImportError> {
    let Some((address, parameters)) = directive.arguments.split_first() else {
        let problem = "\"listen\" takes an address or a port, such as listen 443;";
        return Err(files.error(&directive.name, problem));
    };
    let mut other = None;
    let mut ipv6_alone = true;
    for word in parameters {
        let (name, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
        match name {
            "ssl" => other = Some("it ends TLS, and TLS is passed through here"),
            "quic" => other = Some("it is QUIC, and only TCP is balanced"),
            "udp" => other = Some("it is UDP, and only TCP is balanced"),
            "ipv6only" => ipv6_alone = value != "off",
            "proxy_protocol" | "default_server" => {}
            _ if SOCKET_OPTIONS.contains(&name) => {}
            _ => {
                let problem = format!("{:?} is no parameter of \"listen\"", word.text);
                return Err(files.error(word, problem));
            }
        }
    }
    if let Some(other) = other {
        return Ok(Listen::Other(other.to_owned()));
    }
    if let Some(problem) = template(&address.text) {
        return Err(files.error(address, problem));
    }
    let listen = addresses(address, ipv6_alone);
    listen.map_err(|problem| files.error(address, problem))
}

/// Notes what of its parameters is not taken over.
pub(super) fn note_parameters(directive: &Directive, files: &Files<'_>, notes: &mut Notes) {
    let place = files.place_of(directive);
    let parameters = directive.arguments.iter().skip(1);
    let texts = parameters.map(|word| word.text.as_str());
    let is_option = |text: &&str| {
        let name = text.split('=').next().unwrap_or_default();
        name != "ipv6only" && SOCKET_OPTIONS.contains(&name)
    };
    let options: Vec<&str> = texts.clone().filter(is_option).collect();
    if !options.is_empty() {
        let text = format!(
            "{}: options of sockets are not configured here",
            options.join(" ")
        );
        notes.not_taken(&place, text);
    }
    if texts.clone().any(|text| text == "proxy_protocol") {
        notes.not_taken(
            &place,
            "proxy_protocol: nobody is believed whose network is not named",
        );
        notes.advice(&place, format!("proxy_protocol: {}", proxy_protocol::READ));
    }
}

/// The listeners for a client's way in.
pub(super) fn binds(
    addresses: &[SocketAddr],
    directive: &Directive,
    files: &Files<'_>,
) -> Vec<At<SocketAddr>> {
    let place = files.place_of(directive);
    let at = |address: &SocketAddr| At {
        value: *address,
        place: place.clone(),
    };
    addresses.iter().map(at).collect()
}

fn addresses(word: &Word, ipv6_alone: bool) -> Result<Listen, String> {
    let text = word.text.as_str();
    if text.starts_with("unix:") {
        let reason = "a socket of this machine is not listened on, only TCP";
        return Ok(Listen::Other(reason.to_owned()));
    }
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address is in brackets.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-') =>
        {
            ("*", text)
        }
        _ => return Err(format!("{text:?} has no port; NGINX's streams need one")),
    };
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    if port
        .split_once('-')
        .is_some_and(|(first, last)| is_port(first) && is_port(last))
    {
        let reason = "a range of ports: give each of them a listener of its own";
        return Ok(Listen::Other(reason.to_owned()));
    }
    let port = number::port(port).ok_or_else(|| format!("{text:?} has no port from 1 to 65535"))?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let ip = match (host, bare) {
        ("*", _) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        ("localhost", _) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (_, Some(bare)) => IpAddr::V6(
            bare.parse()
                .map_err(|_| format!("{bare:?} is no IPv6 address"))?,
        ),
        (_, None) => match host.parse::<Ipv4Addr>() {
            Ok(ip) => IpAddr::V4(ip),
            Err(_) => {
                return Err(format!(
                    "{host:?} is no IP address; put the address there that this machine has"
                ));
            }
        },
    };
    let mut all = vec![SocketAddr::new(ip, port)];
    if ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !ipv6_alone {
        all.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    Ok(Listen::Tcp(all))
}

const SOCKET_OPTIONS: [&str; 12] = [
    "accept_filter",
    "backlog",
    "bind",
    "deferred",
    "fastopen",
    "ipv6only",
    "multipath",
    "rcvbuf",
    "reuseport",
    "setfib",
    "sndbuf",
    "so_keepalive",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;
    use crate::import::sources::NoSources;

    /// The addresses, or why there are none.
    fn listened(text: &str) -> String {
        let mut sources = NoSources;
        let mut files = Files::new(&mut sources);
        let directives = files.parse("nginx.conf", text).unwrap();
        match read(&directives[0], &files) {
            Ok(Listen::Tcp(addresses)) => {
                let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                shown.join(" ")
            }
            Ok(Listen::Other(reason)) => format!("other: {reason}"),
            Err(error) => format!("{}: {}", error.position.unwrap().column, error.problem),
        }
    }

    #[test]
    fn addresses_are_those_nginx_would_listen_on() {
        let cases = [
            ("listen 443;", "0.0.0.0:443"),
            ("listen *:443;", "0.0.0.0:443"),
            ("listen 10.0.0.1:443 so_keepalive=on;", "10.0.0.1:443"),
            ("listen localhost:443;", "127.0.0.1:443"),
            ("listen [::]:443;", "[::]:443"),
            ("listen [::]:443 ipv6only=on;", "[::]:443"),
            ("listen [::]:443 ipv6only=off;", "[::]:443 0.0.0.0:443"),
            ("listen [fd00::1]:443 ipv6only=off;", "[fd00::1]:443"),
            ("listen 443 ssl;", "other: it ends TLS"),
            ("listen 53 udp reuseport;", "other: it is UDP"),
            (
                "listen unix:/run/x.sock;",
                "other: a socket of this machine",
            ),
            ("listen 5000-5010;", "other: a range of ports"),
            (
                "listen 443 sssl;",
                "12: \"sssl\" is no parameter of \"listen\"",
            ),
            ("listen 70000;", "8: \"70000\" has no port from 1 to 65535"),
            ("listen 0;", "8: \"0\" has no port"),
            (
                "listen 10.0.0.1;",
                "8: \"10.0.0.1\" has no port; NGINX's streams need one",
            ),
            (
                "listen [::];",
                "8: \"[::]\" has no port; NGINX's streams need one",
            ),
            ("listen [::x]:1;", "8: \"::x\" is no IPv6 address"),
            (
                "listen dtr.internal:443;",
                "8: \"dtr.internal\" is no IP address",
            ),
            (
                "listen $PORT;",
                "8: \"$PORT\" is a placeholder or a variable",
            ),
            ("listen;", "1: \"listen\" takes an address or a port"),
        ];
        for (text, expected) in cases {
            let found = listened(text);
            assert!(found.starts_with(expected), "{text}: {found}");
            assert!(
                !expected.ends_with("443") || found == expected,
                "{text}: {found}"
            );
        }
    }
}

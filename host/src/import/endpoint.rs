//! Addresses of the old file.

use std::net::IpAddr;

use super::number;

/// An IP address or a name, and the port behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl HostPort {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or an IPv6 address without a port.
    ///
    /// # Errors
    /// What it is instead, and what to do: a placeholder that nobody has filled in, a
    /// variable, a socket's path, a port that is none.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if let Some(problem) = template(text) {
            return Err(problem);
        }
        if text.starts_with('/') || text.starts_with("unix") || text.starts_with('@') {
            return Err(format!(
                "{text:?} is a socket of this machine; replicas are reached over TCP"
            ));
        }
        let (host, port) = split(text);
        let port = match port {
            None => None,
            Some(port) => match number::port(port) {
                Some(number) => Some(number),
                None => return Err(format!("{port:?} is no port; give one from 1 to 65535")),
            },
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_address = host.parse::<IpAddr>().is_ok();
        if !is_address && (host.is_empty() || !host.bytes().all(plain)) {
            return Err(format!("{host:?} is neither an IP address nor a DNS name"));
        }
        Ok(HostPort {
            host: host.to_owned(),
            port,
        })
    }
}

/// What a text is that somebody, or some program, should have replaced; `None`: it
/// can be taken as it stands.
pub(super) fn template(text: &str) -> Option<String> {
    let marked = [
        ("<", ">"),
        ("${", "}"),
        ("{{", "}}"),
        ("{%", "%}"),
        ("<%", "%>"),
        ("@", "@"),
    ];
    let between = |(open, close): (&str, &str)| {
        let start = text.find(open)?;
        text.get(start + open.len()..)?
            .contains(close)
            .then_some(())
    };
    let is_variable = text.contains('$') || text.contains("%[") || text.contains("env(");
    if !is_variable && !marked.into_iter().any(|marks| between(marks).is_some()) {
        return None;
    }
    Some(format!(
        "{text:?} is a placeholder or a variable; put the value there and import again"
    ))
}

fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        Some(_) | None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn hosts_and_ports_are_separated() {
        let cases = [
            ("10.0.0.11:443", "10.0.0.11", Some(443)),
            ("10.0.0.11", "10.0.0.11", None),
            ("dtr1.example.com:80", "dtr1.example.com", Some(80)),
            ("[fd00::1]:443", "fd00::1", Some(443)),
            ("[fd00::1]", "fd00::1", None),
            ("fd00::1", "fd00::1", None),
        ];
        for (text, host, port) in cases {
            let host = host.to_owned();
            assert_eq!(
                HostPort::read(text).unwrap(),
                HostPort { host, port },
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        let cases = [
            (
                "<DTR_REPLICA_1_IP>:443",
                r#""<DTR_REPLICA_1_IP>:443" is a placeholder"#,
            ),
            ("${DTR1}:443", r#""${DTR1}:443" is a placeholder"#),
            ("$DTR1", r#""$DTR1" is a placeholder"#),
            (
                "{{ dtr.address }}:443",
                "\"{{ dtr.address }}:443\" is a placeholder",
            ),
            ("unix:/run/dtr.sock", "\"unix:/run/dtr.sock\" is a socket"),
            ("10.0.0.1:0", "\"0\" is no port"),
            ("10.0.0.1:+80", "\"+80\" is no port"),
            ("10.0.0.1:65536", "\"65536\" is no port"),
            ("a b", "\"a b\" is neither"),
            ("", "\"\" is neither"),
        ];
        for (text, expected) in cases {
            let problem = HostPort::read(text).unwrap_err();
            assert!(problem.starts_with(expected), "{text}: {problem}");
        }
    }
}

//! Addresses, DNS names and ports.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use super::text::{Text, deserialize_as_text};

/// Parts of patterns: nothing that is right is left out.
macro_rules! ipv4 {
    () => {
        r"(?:[0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])(?:\.(?:[0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}"
    };
}

macro_rules! ipv6 {
    () => {
        "[0-9A-Fa-f]*:[0-9A-Fa-f.:]*:[0-9A-Fa-f.:]*"
    };
}

/// Its last label is not a number.
macro_rules! dns_name {
    () => {
        r"(?:[0-9A-Za-z_-]+\.)*[0-9]*[A-Za-z_-][0-9A-Za-z_-]*\.?"
    };
}

/// A port as the name of a JSON field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PortName(pub(super) u16);

impl Text for PortName {
    const PATTERN: &'static str = r"^[1-9][0-9]{0,4}$";

    fn kind() -> Cow<'static, str> {
        "a port".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"ports of the service as names, such as {"443": 8443}"#)
    }

    fn read(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        plain.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a replica is, or another endpoint, without its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A fixed address.
    Ip(IpAddr),
    /// A DNS name, resolved again while running.
    Name(String),
}

impl Text for Address {
    const PATTERN: &'static str = concat!(
        "^(",
        ipv6!(),
        r"|\[",
        ipv6!(),
        r"\]|",
        ipv4!(),
        "|",
        dns_name!(),
        ")$"
    );

    fn kind() -> Cow<'static, str> {
        "an IPv4 address, an IPv6 address or a DNS name, without a port".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        let name = "an IPv4 address, an IPv6 address or a DNS name, without a port";
        write!(f, "{name}{WHERE_PORTS_GO}")
    }

    fn read(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        match IpAddr::from_str(bare).map(|ip| ip.to_canonical()) {
            Ok(ip) => (!ip.is_unspecified() && !ip.is_multicast()).then_some(Self::Ip(ip)),
            Err(_) => is_dns_name(text).then(|| Self::Name(text.to_owned())),
        }
    }

    fn hint(text: &str) -> Option<&'static str> {
        let ip = IpAddr::from_str(text.trim_matches(['[', ']'])).ok()?;
        if ip.is_unspecified() {
            return Some(
                "this one stands for all addresses of a machine, and is that of no replica",
            );
        }
        ip.is_multicast()
            .then_some("this one is for multicast, and is that of no replica")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// An address and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Without its port.
    pub address: Address,
    /// Never 0.
    pub port: u16,
}

impl Text for Endpoint {
    const PATTERN: &'static str = concat!(
        r"^(\[",
        ipv6!(),
        r"\]|",
        ipv4!(),
        "|",
        dns_name!(),
        "):[1-9][0-9]{0,4}$"
    );

    fn kind() -> Cow<'static, str> {
        "`IP:PORT`, `[IP]:PORT` or `NAME:PORT`".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            r#"an address and a port, such as "10.0.0.11:443", "[::1]:443" or "web.internal:443""#,
        )
    }

    fn read(text: &str) -> Option<Self> {
        let (address, port) = text.rsplit_once(':')?;
        // Else an IPv6 address without a port would lose its end.
        if address.contains(':') && !address.starts_with('[') {
            return None;
        }
        let address = Address::read(address)?;
        let PortName(port) = PortName::read(port)?;
        (port > 0).then_some(Self { address, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Address::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// The registry's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fqdn(pub(super) String);

impl Text for Fqdn {
    const PATTERN: &'static str = concat!("^(", ipv4!(), "|", dns_name!(), ")$");

    fn kind() -> Cow<'static, str> {
        "a DNS name or IPv4 address".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            r#"the name clients use, without scheme, port or path, such as "dtr.example.com""#,
        )
    }

    fn read(text: &str) -> Option<Self> {
        let known = is_dns_name(text) || text.parse::<Ipv4Addr>().is_ok();
        known.then(|| Self(text.to_owned()))
    }
}

/// A name that clients ask for, or the end of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerName(pub(super) String);

impl Text for ServerName {
    const PATTERN: &'static str = concat!(r"^(\*\.)?(", dns_name!(), ")$");

    fn kind() -> Cow<'static, str> {
        "a DNS name, which may have `*.` before it".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            r#"names that clients ask for, such as "dtr.example.com" or "*.example.com", without scheme, port or path"#,
        )
    }

    fn read(text: &str) -> Option<Self> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        is_dns_name(name).then(|| Self(text.to_owned()))
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bind(pub(super) SocketAddr);

impl Text for Bind {
    const PATTERN: &'static str =
        concat!(r"^(\[", ipv6!(), r"(%[0-9]+)?\]|", ipv4!(), "):[0-9]{1,5}$");

    fn kind() -> Cow<'static, str> {
        "an IP address and a port".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"an IP address and a port, such as "0.0.0.0:443" or "[::]:443""#)
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// A name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameServer(pub(super) SocketAddr);

impl Text for NameServer {
    const PATTERN: &'static str = concat!(
        "^(",
        ipv6!(),
        r"|(\[",
        ipv6!(),
        r"\]|",
        ipv4!(),
        "):[1-9][0-9]{0,4}|",
        ipv4!(),
        ")$"
    );

    fn kind() -> Cow<'static, str> {
        "an IP address, with a port where that is not 53".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            r#"the IP address of a name server, and its port where that is not 53, such as "127.0.0.11" or "10.0.0.2:8600""#,
        )
    }

    fn read(text: &str) -> Option<Self> {
        let address = match text.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, DNS_PORT),
            Err(_) => text.parse().ok()?,
        };
        (address.port() > 0 && !address.ip().is_unspecified()).then_some(Self(address))
    }
}

/// [RFC 1035](https://www.rfc-editor.org/rfc/rfc1035#section-4.2).
const DNS_PORT: u16 = 53;

/// The end of what is expected of an address, for who writes a file.
pub(super) const WHERE_PORTS_GO: &str = r#" (a replica's own ports go into its "ports")"#;

deserialize_as_text!(
    Address, Endpoint, Fqdn, ServerName, Bind, NameServer, PortName
);

/// Letters, digits, hyphens and underscores in labels of up to 63, 253 in all,
/// and a last label that is not a number (such a name is a mistyped address).
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253
        && name.split('.').all(label)
        && name.rsplit('.').next().is_some_and(|last| !numeric(last))
}

//! Values of the file that can only be right: each refuses what is impossible
//! while it is read, and says what was expected.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::plan::Host;

/// A whole number within limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole<const MIN: u64, const MAX: u64>(u64);

/// A TCP port.
pub(super) type Port = Whole<1, 65535>;

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number, or the largest `u32` when it is larger.
    pub(super) fn u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }

    /// The number, or the largest `u16` when it is larger.
    pub(super) fn u16(self) -> u16 {
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Number<MIN, MAX> {
            type Value = Whole<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}, without quotes")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                if (MIN..=MAX).contains(&number) {
                    Ok(Whole(number))
                } else {
                    Err(E::invalid_value(Unexpected::Unsigned(number), &self))
                }
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

/// A time of at least `MIN_MS`, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<const MIN_MS: u64>(Duration);

impl<const MIN_MS: u64> Span<MIN_MS> {
    pub(super) fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN_MS: u64> Text for Span<MIN_MS> {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"a time with its unit, such as "2s" or "500ms", "#)?;
        if MIN_MS > 0 {
            write!(f, "of at least {MIN_MS}ms, ")?;
        }
        f.write_str("in whole milliseconds, at most 365days")
    }

    fn read(text: &str) -> Option<Self> {
        let time = humantime::parse_duration(text).ok()?;
        let whole = time.subsec_nanos().is_multiple_of(1_000_000);
        let within = time >= Duration::from_millis(MIN_MS) && time <= LONGEST_TIME;
        (whole && within).then_some(Self(time))
    }
}

/// A name that can stand in cluster and metric names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplicaName(pub(super) String);

impl Text for ReplicaName {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "a name of 1 to 63 letters, digits, dots, underscores and hyphens (a-z A-Z 0-9 . _ -)",
        )
    }

    fn read(text: &str) -> Option<Self> {
        let fits = (1..=63).contains(&text.len());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (fits && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }
}

/// A port as the name of a JSON field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PortName(pub(super) u16);

impl Text for PortName {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"ports of the service as names, such as {"443": 8443}"#)
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|port| *port != 0).map(Self)
    }
}

/// Where a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) Host);

impl Text for Address {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            r#"an IPv4 address, an IPv6 address or a DNS name, without a port (a replica's own ports go into its "ports")"#,
        )
    }

    fn read(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        match IpAddr::from_str(bare) {
            Ok(ip) => (!ip.is_unspecified() && !ip.is_multicast()).then_some(Self(Host::Ip(ip))),
            Err(_) => is_dns_name(text).then(|| Self(Host::Name(text.to_owned()))),
        }
    }
}

/// The registry's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fqdn(pub(super) String);

impl Text for Fqdn {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            r#"the name clients use, without scheme, port or path, such as "dtr.example.com""#,
        )
    }

    fn read(text: &str) -> Option<Self> {
        let known = is_dns_name(text) || text.parse::<std::net::Ipv4Addr>().is_ok();
        known.then(|| Self(text.to_owned()))
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bind(pub(super) SocketAddr);

impl Text for Bind {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"an IP address and a port, such as "0.0.0.0:443" or "[::]:443""#)
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// What a check asks, such as `https:443/_ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    /// `None`: the preset's.
    pub(super) path: Option<String>,
}

/// How a check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Tcp,
}

impl Text for Target {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"a target such as "https:443/_ping", "http:80/_ping" or "tcp:443""#)
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "tcp" => Scheme::Tcp,
            _ => return None,
        };
        let (port, path) = match rest.find('/') {
            Some(slash) => {
                let (port, path) = rest.split_at(slash);
                (port, Some(path))
            }
            None => (rest, None),
        };
        let port = port.parse().ok().filter(|port| *port != 0)?;
        if path.is_some_and(|path| scheme == Scheme::Tcp || !is_path(path)) {
            return None;
        }
        Some(Self {
            scheme,
            port,
            path: path.map(str::to_owned),
        })
    }
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token(pub(super) String);

impl Text for Token {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a token of 8 to 512 visible ASCII characters without spaces")
    }

    fn read(text: &str) -> Option<Self> {
        let fits = (8..=512).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }
}

/// A JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(pub(super) String);

impl Text for Pointer {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"a JSON pointer, such as "/status""#)
    }

    fn read(text: &str) -> Option<Self> {
        (text.is_empty() || text.starts_with('/')).then(|| Self(text.to_owned()))
    }
}

/// The name of a header a check may send, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HeaderName(pub(super) String);

impl Text for HeaderName {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "header names other than host (the fqdn is sent), connection, content-length, te, trailer, transfer-encoding and upgrade",
        )
    }

    fn read(text: &str) -> Option<Self> {
        let name = http::HeaderName::from_str(text).ok()?;
        let ours = [
            "host",
            "connection",
            "content-length",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        (!ours.contains(&name.as_str())).then(|| Self(name.as_str().to_owned()))
    }
}

/// The value of a header a check sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderValue(pub(super) String);

impl Text for HeaderValue {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("visible ASCII characters and spaces")
    }

    fn read(text: &str) -> Option<Self> {
        let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        text.bytes().all(visible).then(|| Self(text.to_owned()))
    }
}

/// One status, or an inclusive range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statuses(pub(super) u16, pub(super) u16);

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Status;
        impl Visitor<'_> for Status {
            type Value = Statuses;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    r#"a status from 100 to 599, such as 200, or a range, such as "200-399""#,
                )
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Statuses, E> {
                u16::try_from(number)
                    .ok()
                    .filter(|status| STATUSES.contains(status))
                    .map(|status| Statuses(status, status))
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Statuses, E> {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                match (first.trim().parse(), last.trim().parse()) {
                    (Ok(first), Ok(last))
                        if STATUSES.contains(&first)
                            && STATUSES.contains(&last)
                            && first <= last =>
                    {
                        Ok(Statuses(first, last))
                    }
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Status)
    }
}

/// A part of its interval: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fraction(pub(super) f64);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Part;
        impl Visitor<'_> for Part {
            type Value = Fraction;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number from 0 to 1, such as 0.1, without quotes")
            }
            fn visit_f64<E: Error>(self, part: f64) -> Result<Fraction, E> {
                if (0.0..=1.0).contains(&part) {
                    Ok(Fraction(part))
                } else {
                    Err(E::invalid_value(Unexpected::Float(part), &self))
                }
            }
            fn visit_u64<E: Error>(self, whole: u64) -> Result<Fraction, E> {
                match whole {
                    0 => Ok(Fraction(0.0)),
                    1 => Ok(Fraction(1.0)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(whole), &self)),
                }
            }
        }
        deserializer.deserialize_any(Part)
    }
}

/// A value written as a JSON string.
pub(super) trait Text: Sized {
    /// What a right one looks like, with an example.
    fn expected(f: &mut fmt::Formatter) -> fmt::Result;
    /// `None`: not one.
    fn read(text: &str) -> Option<Self>;
}

/// Reads any [`Text`].
struct TextVisitor<T>(PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        T::expected(f)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

macro_rules! read_as_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor(PhantomData))
            }
        }
    )*};
}

read_as_text!(
    ReplicaName,
    PortName,
    Address,
    Fqdn,
    Bind,
    Target,
    Token,
    Pointer,
    HeaderName,
    HeaderValue
);

impl<'de, const MIN_MS: u64> Deserialize<'de> for Span<MIN_MS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

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

fn is_path(path: &str) -> bool {
    path.bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;
const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

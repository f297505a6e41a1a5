//! Texts of the file that can only be right, times among them: each refuses what
//! is impossible while it is read, and says what was expected.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::address::{Address, Bind, Endpoint, Fqdn, PortName, Target};

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

/// A time of at least `MIN_MS`, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BoundedDuration<const MIN_MS: u64>(Duration);

impl<const MIN_MS: u64> BoundedDuration<MIN_MS> {
    pub(super) fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN_MS: u64> Text for BoundedDuration<MIN_MS> {
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
            "a name of 1 to 63 letters, digits, dots, underscores and hyphens (a-z A-Z 0-9 . _ -), \
             not of dots alone",
        )
    }

    fn read(text: &str) -> Option<Self> {
        let fits = (1..=63).contains(&text.len());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        // Clients take `/replicas/..` for another path.
        let nameable = text.bytes().any(|byte| byte != b'.');
        (fits && nameable && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }
}

/// The name of a cluster of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClusterName(pub(super) String);

impl Text for ClusterName {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a cluster's name of 1 to 255 visible ASCII characters without spaces")
    }

    fn read(text: &str) -> Option<Self> {
        let fits = (1..=255).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }
}

/// The name of a host function or a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AbiName(pub(super) String);

impl Text for AbiName {
    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(r#"a function of the ABI, such as "proxy_log" or "proxy_on_tick""#)
    }

    fn read(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (!text.is_empty() && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
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

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    ClusterName,
    Endpoint,
    AbiName,
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

impl<'de, const MIN_MS: u64> Deserialize<'de> for BoundedDuration<MIN_MS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

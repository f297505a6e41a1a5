//! Names, tokens and headers of the file.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::text::{Text, deserialize_as_text};

/// A name that can stand in cluster and metric names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReplicaName(pub(super) String);

impl Text for ReplicaName {
    const PATTERN: &'static str = r"^(?:[0-9A-Za-z_-]|\.+[0-9A-Za-z_-])[0-9A-Za-z_.-]{0,62}$";

    fn kind() -> Cow<'static, str> {
        "1 to 63 of `A-Z a-z 0-9 . _ -`".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "a name of 1 to 63 letters, digits, dots, underscores and hyphens (a-z A-Z 0-9 . _ -), \
             not of dots alone",
        )
    }

    fn read(text: &str) -> Option<Self> {
        is_name(text, 63).then(|| Self(text.to_owned()))
    }
}

/// The name of one of several services, which may be its registry's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceName(pub(super) String);

impl Text for ServiceName {
    const PATTERN: &'static str = r"^(?:[0-9A-Za-z_-]|\.+[0-9A-Za-z_-])[0-9A-Za-z_.-]{0,252}$";

    fn kind() -> Cow<'static, str> {
        "1 to 253 of `A-Z a-z 0-9 . _ -`".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "a service's name of 1 to 253 letters, digits, dots, underscores and hyphens \
             (a-z A-Z 0-9 . _ -), not of dots alone",
        )
    }

    fn read(text: &str) -> Option<Self> {
        is_name(text, 253).then(|| Self(text.to_owned()))
    }
}

/// A replica's id in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegistryId(pub(super) String);

impl Text for RegistryId {
    const PATTERN: &'static str = r"^[!-~]{1,128}$";

    fn kind() -> Cow<'static, str> {
        "1 to 128 visible characters".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an id of 1 to 128 visible ASCII characters without spaces")
    }

    fn read(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }
}

/// The name of a cluster of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClusterName(pub(super) String);

impl Text for ClusterName {
    const PATTERN: &'static str = r"^[!-~]{1,255}$";

    fn kind() -> Cow<'static, str> {
        "1 to 255 visible characters".into()
    }

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
    const PATTERN: &'static str = r"^[a-z0-9_]+$";

    fn kind() -> Cow<'static, str> {
        "a function of the ABI, such as `proxy_log`".into()
    }

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
    const PATTERN: &'static str = r"^[!-~]{8,512}$";

    fn kind() -> Cow<'static, str> {
        "8 to 512 visible characters".into()
    }

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
    const PATTERN: &'static str = r"^(/|$)";

    fn kind() -> Cow<'static, str> {
        "a JSON pointer, such as `/status`".into()
    }

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
    const PATTERN: &'static str = r"^[0-9A-Za-z!#$%&'*+.^_`|~-]+$";

    fn kind() -> Cow<'static, str> {
        "a header's name".into()
    }

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
    const PATTERN: &'static str = r"^[ -~]*$";

    fn kind() -> Cow<'static, str> {
        "visible characters and spaces".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("visible ASCII characters and spaces")
    }

    fn read(text: &str) -> Option<Self> {
        let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        text.bytes().all(visible).then(|| Self(text.to_owned()))
    }
}

/// Whether it can stand in names of clusters and metrics, and in a path.
fn is_name(text: &str, longest: usize) -> bool {
    let fits = (1..=longest).contains(&text.len());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    // Clients take `/replicas/..` for another path.
    let nameable = text.bytes().any(|byte| byte != b'.');
    fits && nameable && text.bytes().all(allowed)
}

deserialize_as_text!(
    ReplicaName,
    ServiceName,
    RegistryId,
    ClusterName,
    AbiName,
    Token,
    Pointer,
    HeaderName,
    HeaderValue
);

//! What a check probes: scheme, port and path.

use std::borrow::Cow;
use std::fmt;

use super::address::PortName;
use super::text::{Text, deserialize_as_text};

/// What a check probes, such as `https:443/_ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    /// `None`: the preset's.
    pub(super) path: Option<String>,
}

/// How a check probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Tcp,
}

impl Text for Target {
    const PATTERN: &'static str =
        r"^([Hh][Tt][Tt][Pp][Ss]?:[1-9][0-9]{0,4}(/[!-~]*)?|[Tt][Cc][Pp]:[1-9][0-9]{0,4})$";

    fn kind() -> Cow<'static, str> {
        "`https:PORT/PATH`, `http:PORT/PATH` or `tcp:PORT`".into()
    }

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
        let PortName(port) = PortName::read(port)?;
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

deserialize_as_text!(Target);

/// Whether it can be sent as it stands; a fragment, for one, never is.
fn is_path(path: &str) -> bool {
    let sent = path.parse::<http::uri::PathAndQuery>();
    path.is_ascii() && sent.is_ok_and(|sent| sent.as_str() == path)
}

//! Who may change something through the admin listener.
//!
//! A page of another site can make a browser on the operator's machine send
//! requests here. It is kept out thrice: PUT is no request that a browser sends
//! unasked, `Origin` and `Sec-Fetch-Site` name the other site, and
//! a name of its own that it has pointed at this machine is not taken for ours.

use super::http::Request;
use crate::config::Admin;
use subtle::ConstantTimeEq;

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No token, or a wrong one.
    Token,
    /// No token is configured, and the listener can be reached from elsewhere.
    NoToken,
    /// The request comes from the page of another site.
    Origin,
    /// The request names a host that need not be this machine.
    Host,
}

impl Denied {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Denied::Token => 401,
            Denied::NoToken | Denied::Origin | Denied::Host => 403,
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Denied::Token => {
                "changes need the header `authorization: Bearer TOKEN` with the configured token"
            }
            Denied::NoToken => {
                "changes need a token, since the admin listener is not bound to a loopback address: configure admin.token"
            }
            Denied::Origin => "the request comes from the page of another site",
            Denied::Host => {
                "without a token, changes need a `Host` that is localhost or a loopback address"
            }
        }
    }
}

/// Whether a request may change something.
pub(crate) fn admit(request: &Request, admin: &Admin) -> Result<(), Denied> {
    let host = request
        .header(":authority")
        .or_else(|| request.header("host"))
        .unwrap_or_default();
    match &admin.token {
        Some(token) => {
            let authorization = request.header("authorization");
            let given = authorization.and_then(bearer).unwrap_or_default();
            if !is_same(given, token) {
                return Err(Denied::Token);
            }
        }
        None if !admin.loopback => return Err(Denied::NoToken),
        None if !is_loopback(host) => return Err(Denied::Host),
        None => {}
    }
    if let Some(origin) = request.header("origin") {
        // The scheme may be changed by what is in front of this listener.
        let named = origin.split_once("://").map(|(_, named)| named);
        if !named.is_some_and(|named| named.eq_ignore_ascii_case(host)) {
            return Err(Denied::Origin);
        }
    }
    match request.header("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Denied::Origin),
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares in a time that does not tell how much of it is right. An empty token
/// lets nobody in.
fn is_same(given: &str, token: &str) -> bool {
    !token.is_empty() && bool::from(given.as_bytes().ct_eq(token.as_bytes()))
}

/// Whether a `Host` can only mean this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name == "::1" || is_loopback_ipv4(name)
}

/// Whether it is an address of 127.0.0.0/8, as browsers write it.
fn is_loopback_ipv4(name: &str) -> bool {
    let octets = name.split('.');
    let is_octet = |octet: &str| octet.parse::<u8>().is_ok_and(|it| it.to_string() == octet);
    name.starts_with("127.") && octets.clone().count() == 4 && octets.clone().all(is_octet)
}

#[cfg(test)]
mod tests;

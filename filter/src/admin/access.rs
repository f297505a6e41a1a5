//! Who may see and change something through the admin listener.
//!
//! A page of another site can make a browser on the operator's machine send
//! requests here. It is kept out thrice: PUT is no request that a browser sends
//! unasked, `Origin` and `Sec-Fetch-Site` name the other site, and
//! a name of its own that it has pointed at this machine is not taken for ours.

use super::http::{Request, Response};
use crate::config::{Admin, Protect};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To see something.
    Read,
    /// To change something.
    Change,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
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
    const fn status(self) -> u16 {
        match self {
            Denied::Token => 401,
            Denied::NoToken | Denied::Origin | Denied::Host => 403,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Denied::Token => {
                "this needs the configured token: the header `authorization: Bearer TOKEN`, or the token as the password of any user"
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

/// Whether a request may do what it is for.
///
/// # Errors
///
/// What it is answered instead.
pub fn admit(request: &Request, purpose: Purpose, admin: &Admin) -> Result<(), Response> {
    let admitted = match purpose {
        Purpose::Read => admit_read(request, admin),
        Purpose::Change => admit_change(request, admin),
    };
    admitted.map_err(|denied| {
        let response = Response::error(denied.status(), denied.message());
        match (denied, purpose) {
            // A browser asks for it then.
            (Denied::Token, Purpose::Read) => {
                response.with("www-authenticate", "Basic realm=\"dtr-lb\"")
            }
            // The page asks for it itself.
            (Denied::Token, Purpose::Change) => response.with("www-authenticate", "Bearer"),
            _ => response,
        }
    })
}

fn admit_read(request: &Request, admin: &Admin) -> Result<(), Denied> {
    match (admin.protect, &admin.token) {
        (Protect::Changes, _) => Ok(()),
        (Protect::All, Some(token)) => check_token(request, token),
        (Protect::All, None) => Err(Denied::Token),
    }
}

fn admit_change(request: &Request, admin: &Admin) -> Result<(), Denied> {
    let host = request
        .header(":authority")
        .or_else(|| request.header("host"))
        .unwrap_or_default();
    match &admin.token {
        Some(token) => check_token(request, token)?,
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

fn check_token(request: &Request, token: &str) -> Result<(), Denied> {
    let given = request.header("authorization").and_then(given_token);
    match is_same(&given.unwrap_or_default(), token) {
        true => Ok(()),
        false => Err(Denied::Token),
    }
}

/// The token of an `authorization`, `Bearer` or as a password of `Basic` (RFC 7617),
/// which browsers send.
fn given_token(header: &str) -> Option<Cow<'_, str>> {
    let (scheme, given) = header.split_once(' ')?;
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(given.into());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(given).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_owned().into())
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

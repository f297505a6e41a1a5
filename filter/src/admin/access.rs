//! Who may change something through the admin listener.
//!
//! A page of another site can make a browser on the operator's machine send
//! requests here. It is kept out thrice: a body of JSON is no request that a
//! browser sends unasked, `Origin` and `Sec-Fetch-Site` name the other site, and
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
    let address: Option<std::net::IpAddr> = name.parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn from(headers: Headers<'_>) -> Request {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Request {
            headers: headers.collect(),
            ..Request::default()
        }
    }

    #[test]
    fn without_a_token_only_this_machine_may() {
        let local = Admin {
            token: None,
            loopback: true,
        };
        let open = Admin {
            token: None,
            loopback: false,
        };
        let me = (":authority", "127.0.0.1:8181");
        let cases: [(&str, &Admin, Headers<'_>, Result<(), Denied>); 14] = [
            ("curl", &local, &[me], Ok(())),
            (
                "by name",
                &local,
                &[(":authority", "localhost:8181")],
                Ok(()),
            ),
            ("IPv6", &local, &[(":authority", "[::1]:8181")], Ok(())),
            ("no port", &local, &[(":authority", "LOCALHOST")], Ok(())),
            (
                "a rebound name",
                &local,
                &[(":authority", "evil.example.com:8181")],
                Err(Denied::Host),
            ),
            (
                "a name that looks right",
                &local,
                &[(":authority", "127.0.0.1.evil.example.com")],
                Err(Denied::Host),
            ),
            (
                "another address",
                &local,
                &[(":authority", "10.0.0.1:8181")],
                Err(Denied::Host),
            ),
            ("no host", &local, &[], Err(Denied::Host)),
            (
                "our own page",
                &local,
                &[me, ("origin", "http://127.0.0.1:8181")],
                Ok(()),
            ),
            (
                "another page",
                &local,
                &[me, ("origin", "https://evil.example.com")],
                Err(Denied::Origin),
            ),
            (
                "another port",
                &local,
                &[me, ("origin", "http://127.0.0.1:3000")],
                Err(Denied::Origin),
            ),
            (
                "a sandboxed page",
                &local,
                &[me, ("origin", "null")],
                Err(Denied::Origin),
            ),
            (
                "a cross-site fetch",
                &local,
                &[me, ("sec-fetch-site", "cross-site")],
                Err(Denied::Origin),
            ),
            (
                "a listener others reach",
                &open,
                &[me],
                Err(Denied::NoToken),
            ),
        ];
        for (why, admin, headers, expected) in cases {
            assert_eq!(admit(&from(headers), admin), expected, "{why}");
        }
    }

    #[test]
    fn with_a_token_only_its_holder_may() {
        let admin = |token: &str| Admin {
            token: Some(token.to_owned()),
            loopback: false,
        };
        let host = (":authority", "lb.example.com:8181");
        let cases: [(&str, &str, Headers<'_>, Result<(), Denied>); 8] = [
            (
                "the token",
                "s3cret",
                &[host, ("authorization", "Bearer s3cret")],
                Ok(()),
            ),
            (
                "the scheme in lower case",
                "s3cret",
                &[host, ("authorization", "bearer s3cret")],
                Ok(()),
            ),
            ("none", "s3cret", &[host], Err(Denied::Token)),
            (
                "a wrong one",
                "s3cret",
                &[host, ("authorization", "Bearer s3creT")],
                Err(Denied::Token),
            ),
            (
                "a part of it",
                "s3cret",
                &[host, ("authorization", "Bearer s3cre")],
                Err(Denied::Token),
            ),
            (
                "more than it",
                "s3cret",
                &[host, ("authorization", "Bearer s3cret0")],
                Err(Denied::Token),
            ),
            (
                "an empty one",
                "",
                &[host, ("authorization", "Bearer ")],
                Err(Denied::Token),
            ),
            (
                "from another page",
                "s3cret",
                &[
                    host,
                    ("authorization", "Bearer s3cret"),
                    ("origin", "https://evil.example.com"),
                ],
                Err(Denied::Origin),
            ),
        ];
        for (why, token, headers, expected) in cases {
            assert_eq!(admit(&from(headers), &admin(token)), expected, "{why}");
        }
    }
}

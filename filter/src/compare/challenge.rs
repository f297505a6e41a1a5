//! How a registry has its clients log in.

/// A challenge of `WWW-Authenticate` (RFC 9110, 11.6.1), as far as registries use it:
/// `Bearer realm="https://dtr.example.com/auth/token",service="dtr.example.com"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// How clients log in: `Basic`, `Bearer`.
    pub scheme: &'a str,
    /// Where tokens are had; any text for `Basic`.
    pub realm: Option<&'a str>,
    /// Whom tokens are for.
    pub service: Option<&'a str>,
}

impl<'a> Challenge<'a> {
    /// Reads the first challenge of the header's value.
    #[must_use]
    pub fn read(value: &'a str) -> Challenge<'a> {
        let value = value.trim();
        let (scheme, mut rest) = value.split_once(' ').unwrap_or((value, ""));
        let mut challenge = Challenge {
            scheme,
            ..Challenge::default()
        };
        while let Some((name, after)) = rest.split_once('=') {
            let (parameter, next) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => after.split_once(',').unwrap_or((after, "")),
            };
            let name = name.trim_matches([' ', ',']);
            // Behind the scheme of another challenge.
            if name.contains(' ') {
                break;
            }
            match name.to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = Some(parameter),
                "service" => challenge.service = Some(parameter),
                _ => {}
            }
            rest = next;
        }
        challenge
    }
}

/// Scheme, host and port of an absolute URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// `https`, say.
    pub scheme: &'a str,
    /// Without brackets.
    pub host: &'a str,
    /// `None`: the scheme's.
    pub port: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// `None`: it is no absolute URL.
    #[must_use]
    pub fn of(url: &'a str) -> Option<Origin<'a>> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        Some(Origin { scheme, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realm_and_service_are_found() {
        let challenge = |scheme, realm, service| Challenge {
            scheme,
            realm,
            service,
        };
        let cases = [
            (
                r#"Bearer realm="https://dtr.example.com/auth/token",service="dtr.example.com",scope="x""#,
                challenge(
                    "Bearer",
                    Some("https://dtr.example.com/auth/token"),
                    Some("dtr.example.com"),
                ),
            ),
            (
                r#"Basic realm="registry", Bearer realm="https://a.example/token",service="a""#,
                challenge("Basic", Some("registry"), None),
            ),
            (
                r#"Bearer service="harbor-registry", realm="https://a.example/service/token""#,
                challenge(
                    "Bearer",
                    Some("https://a.example/service/token"),
                    Some("harbor-registry"),
                ),
            ),
            (
                r#"Basic Realm=registry"#,
                challenge("Basic", Some("registry"), None),
            ),
            (
                r#"Bearer realm="no end"#,
                challenge("Bearer", Some("no end"), None),
            ),
            ("Negotiate", challenge("Negotiate", None, None)),
            ("", challenge("", None, None)),
        ];
        for (value, expected) in cases {
            assert_eq!(Challenge::read(value), expected, "{value}");
        }
    }

    #[test]
    fn an_origin_is_taken_apart() {
        let origin = |scheme, host, port| Some(Origin { scheme, host, port });
        let cases = [
            (
                "https://dtr.example.com/auth",
                origin("https", "dtr.example.com", None),
            ),
            (
                "http://10.0.0.1:5000",
                origin("http", "10.0.0.1", Some("5000")),
            ),
            ("https://[::1]:8443/x", origin("https", "::1", Some("8443"))),
            ("/auth", None),
        ];
        for (url, expected) in cases {
            assert_eq!(Origin::of(url), expected, "{url}");
        }
    }
}

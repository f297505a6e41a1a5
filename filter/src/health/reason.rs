//! Why a replica is not healthy, by names that don't change: they are in `/status`,
//! in the metrics and in the log.

use serde::{Deserialize, Serialize};

/// Why an answer counts as bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The connection was refused.
    Refused,
    /// The connection failed, and the proxy does not say how: refused, or TLS.
    ConnectFailed,
    /// The connection was not established in time.
    ConnectTimeout,
    /// No answer within the probe's timeout.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The certificate is not one the configuration trusts.
    Certificate,
    /// The connection ended before the answer did.
    Reset,
    /// The name has no address, or the cluster no endpoint.
    NoAddress,
    /// What came back is not HTTP.
    NotHttp,
    /// The proxy could not send the probe, for a reason that is not among these.
    ProxyError,
    /// A status that is not among those of a healthy answer.
    Status,
    /// The body says so, whatever the status.
    SaysUnhealthy,
    /// The body does not say what the check requires it to say.
    BadBody,
}

impl Reason {
    /// Each of them, for those who define metrics.
    pub const ALL: [Reason; 13] = [
        Reason::Refused,
        Reason::ConnectFailed,
        Reason::ConnectTimeout,
        Reason::Timeout,
        Reason::Tls,
        Reason::Certificate,
        Reason::Reset,
        Reason::NoAddress,
        Reason::NotHttp,
        Reason::ProxyError,
        Reason::Status,
        Reason::SaysUnhealthy,
        Reason::BadBody,
    ];

    /// The name it goes by everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Refused => "refused",
            Reason::ConnectFailed => "connect-failed",
            Reason::ConnectTimeout => "connect-timeout",
            Reason::Timeout => "timeout",
            Reason::Tls => "tls",
            Reason::Certificate => "certificate",
            Reason::Reset => "reset",
            Reason::NoAddress => "no-address",
            Reason::NotHttp => "not-http",
            Reason::ProxyError => "proxy-error",
            Reason::Status => "status",
            Reason::SaysUnhealthy => "says-unhealthy",
            Reason::BadBody => "bad-body",
        }
    }
}

/// The part of a registry that its `Error` text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Component {
    /// Storage of images.
    Registry,
    /// Authorization.
    Garant,
    /// Metadata persistence.
    Rethinkdb,
    /// Content trust.
    Notary,
}

impl Component {
    /// Each of them. The registry is last: its name is in many sentences about
    /// another, such as "trusted registry: rethinkdb is down".
    pub const ALL: [Component; 4] = [
        Component::Garant,
        Component::Rethinkdb,
        Component::Notary,
        Component::Registry,
    ];

    /// The name it goes by everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Component::Registry => "registry",
            Component::Garant => "garant",
            Component::Rethinkdb => "rethinkdb",
            Component::Notary => "notary",
        }
    }

    /// The component a text is about.
    pub fn named_in(text: &str) -> Option<Component> {
        let text = text.to_ascii_lowercase();
        Component::ALL
            .into_iter()
            .find(|component| text.contains(component.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_recognised_wherever_its_name_stands() {
        let cases = [
            ("garant: connection refused", Some(Component::Garant)),
            (
                "Docker Trusted Registry: RethinkDB is not reachable",
                Some(Component::Rethinkdb),
            ),
            (
                "dial tcp dtr-notary-server-1: timeout",
                Some(Component::Notary),
            ),
            (
                "registry: no space left on device",
                Some(Component::Registry),
            ),
            ("out of memory", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Component::named_in(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_reason_is_written_as_it_is_named() {
        for reason in Reason::ALL {
            let written = serde_json::to_string(&reason).unwrap();
            assert_eq!(written, format!("\"{}\"", reason.name()));
        }
    }
}

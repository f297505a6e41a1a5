//! Which of several services a client wants, by what it sends first.

use dtr_lb_filter::requested_host::{HEAD_LIMIT, RequestedHost};

use super::client_hello::{self, ServerName, server_name};

/// The name that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedName {
    /// In TLS.
    InTls(String),
    /// As `Host` over plain HTTP.
    AsHost(String),
    /// None, or none within the limit of 16 KiB: it may speak any protocol.
    Nothing,
    /// It has to send more before that is known.
    Unknown,
}

impl RequestedName {
    /// Reads what a client has sent so far.
    #[must_use]
    pub fn of(sent: &[u8]) -> RequestedName {
        match sent.first() {
            Some(&client_hello::FIRST_BYTE) => match server_name(sent, HEAD_LIMIT) {
                ServerName::Named(name) => RequestedName::InTls(name),
                ServerName::None => RequestedName::Nothing,
                ServerName::Incomplete => RequestedName::Unknown,
            },
            _ => match RequestedHost::of(sent) {
                RequestedHost::Named(host) => RequestedName::AsHost(host.to_owned()),
                RequestedHost::None => RequestedName::Nothing,
                RequestedHost::Incomplete => RequestedName::Unknown,
            },
        }
    }
}

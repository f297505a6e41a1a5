//! The PROXY protocol in old configurations.

/// The old balancer sent a header that can't be sent here.
pub(super) const SENT: &str = "replicas that expect the header of the PROXY protocol understand no connection \
                               without it: where they do, give each listener of their port \
                               \"proxy_protocol\": \"v1\" or \"v2\"";
/// The old balancer read its header from its clients.
pub(super) const READ: &str = "clients send the header of the PROXY protocol first: name the networks of the \
                               proxies that do in \"accept_proxy_from\", or the replicas would be sent it; it \
                               holds for all listeners, and from others a header is refused";

/// The old balancer read NetScaler's header from its clients.
pub(super) const NETSCALER: &str = "clients send a header of NetScaler's (CIP) first, which is not read here: have \
                                    them send that of the PROXY protocol, and name their networks in \
                                    \"accept_proxy_from\"";

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyProtocol {
    V1,
    V2,
}

impl ProxyProtocol {
    /// As the configuration has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            ProxyProtocol::V1 => "v1",
            ProxyProtocol::V2 => "v2",
        }
    }
}

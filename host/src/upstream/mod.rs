//! Clusters and their endpoints: resolved, connected to, and called.

pub(crate) mod certificate;
pub(crate) mod cluster;
pub(crate) mod connect;
pub(crate) mod dial;
pub(crate) mod endpoint;
pub(crate) mod grpc_call;
pub(crate) mod http_call;
pub(crate) mod no_answer;
pub(crate) mod probe_response;
pub(crate) mod reply;
pub(crate) mod resolver;
mod self_signed;
pub(crate) mod shown_certificate;
mod system_roots;
mod tls;
#[cfg(test)]
mod unreachable;
pub(crate) mod without_authority;

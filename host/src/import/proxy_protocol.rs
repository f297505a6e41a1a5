//! The PROXY protocol, which is neither sent nor read here: without a change elsewhere no
//! connection would be understood.

/// The old balancer sent its header to the servers.
pub(super) const SENT: &str = "replicas that expect the header of the PROXY protocol understand no connection \
                               without it: have it turned off there before the change";
/// The old balancer read its header from its clients.
pub(super) const READ: &str = "clients send the header of the PROXY protocol first, and the replicas \
                               would be sent it: have it turned off there before the change";

//! The header of the PROXY protocol, by which one proxy says to the next who the client is:
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>.

mod addresses;
mod received;
mod sent;
mod signature;

pub use addresses::ConnectionAddresses;
pub use received::ReceivedHeader;
pub(crate) use sent::send_header;
pub(crate) use signature::SignatureWatch;

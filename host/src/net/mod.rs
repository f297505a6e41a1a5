//! Sockets and what passes through them: bytes, headers, and the system's limits.

mod client_hello;
pub(crate) mod fd_limit;
pub(crate) mod first_flight;
pub(crate) mod forward;
pub(crate) mod headers;
pub(crate) mod local_resources;
pub(crate) mod own_address;
pub(crate) mod pipe;
pub(crate) mod proxy_header;
pub(crate) mod requested_name;
pub(crate) mod socket;

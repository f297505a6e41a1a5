//! The callback for what clients send, and its name in the embedded module.
//!
//! A proxy calls it for every chunk of every connection, which only several registries in
//! Envoy are worth. So the module has it under a name that no proxy calls, and a copy for
//! those under its own.

/// What proxies call it.
pub(crate) const CALLBACK: &str = "proxy_on_downstream_data";

/// What it is in the module: as long, so that one can be put in the place of the other.
pub(crate) const SET_ASIDE: &str = "dtrlb_on_downstream_data";

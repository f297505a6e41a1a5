//! What guests write about a stream for the proxy and for each other.

use std::borrow::Cow;

use super::envoy::STEERING_KEY;
use super::status::{HostcallError, HostcallResult};

/// Values of one stream, by key. There are few, so they are searched in order.
#[derive(Debug, Default)]
pub(super) struct FilterState(Vec<FilterStateEntry>);

#[derive(Debug)]
struct FilterStateEntry {
    key: Cow<'static, [u8]>,
    value: FilterStateValue,
}

/// A value and who set it how.
#[derive(Debug)]
pub(super) enum FilterStateValue {
    /// By `set_envoy_filter_state`: the proxy understands it.
    Object(String),
    /// By `set_property`: for guests.
    Property {
        /// What they wrote.
        bytes: Vec<u8>,
        /// Whether it may be written again.
        write: WriteAccess,
    },
}

/// How often a property may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteAccess {
    Once,
    Often,
}

impl FilterState {
    pub(super) fn get(&self, key: &[u8]) -> Option<&FilterStateValue> {
        self.0
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    fn get_mut(&mut self, key: &[u8]) -> Option<&mut FilterStateValue> {
        self.0
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.value)
    }

    /// # Errors
    /// "Internal failure" when it would be more than a stream may carry.
    pub(super) fn set(
        &mut self,
        key: Cow<'static, [u8]>,
        value: FilterStateValue,
    ) -> HostcallResult {
        let others = self.0.iter().filter(|entry| entry.key != key);
        let size: usize = others
            .map(|entry| entry.key.len() + entry.value.bytes().len())
            .sum();
        if size + key.len() + value.bytes().len() > MAX_BYTES {
            return Err(HostcallError::Internal);
        }
        let full = self.0.len() >= MAX_VALUES;
        match self.get_mut(&key) {
            Some(old) => *old = value,
            None if full => return Err(HostcallError::Internal),
            None => {
                // Mostly the only one.
                self.0.reserve_exact(usize::from(self.0.is_empty()));
                self.0.push(FilterStateEntry { key, value });
            }
        }
        Ok(())
    }

    /// The text of an object.
    pub(super) fn object(&self, key: &str) -> Option<&str> {
        match self.get(key.as_bytes())? {
            FilterStateValue::Object(text) => Some(text),
            FilterStateValue::Property { .. } => None,
        }
    }
}

impl FilterStateValue {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            FilterStateValue::Object(text) => text.as_bytes(),
            FilterStateValue::Property { bytes, .. } => bytes,
        }
    }
}

/// The key as the proxy knows it, when the proxy has a use for it and can make
/// an object of this value; otherwise why not.
pub(super) fn object_key(key: &str, value: &str) -> Result<&'static str, HostcallError> {
    let (known, fits) = OBJECTS
        .iter()
        .find(|(known, _)| *known == key)
        .ok_or(HostcallError::NotFound)?;
    if fits(value) {
        Ok(known)
    } else {
        Err(HostcallError::BadArgument)
    }
}

/// All keys the proxy has a use for.
pub(super) fn object_keys() -> impl Iterator<Item = &'static str> {
    OBJECTS.iter().map(|(key, _)| *key)
}

/// Keys Envoy has an object factory for, and what it makes objects of.
const OBJECTS: &[(&str, Fits)] = &[
    (STEERING_KEY, any),
    ("envoy.tcp_proxy.disable_tunneling", any),
    ("envoy.tcp_proxy.per_connection_idle_timeout_ms", number),
    (
        "envoy.network.transport_socket.original_dst_address",
        address,
    ),
    ("envoy.network.upstream_server_name", any),
    ("envoy.network.upstream_subject_alt_names", any),
    ("envoy.network.application_protocols", any),
    ("envoy.upstream.dynamic_host", any),
    ("envoy.upstream.dynamic_port", number),
    ("envoy.filters.listener.original_dst.local_ip", address),
    ("envoy.filters.listener.original_dst.remote_ip", address),
    ("envoy.ratelimit.hits_addend", number),
    ("envoy.hashable_string", any),
    ("envoy.string", any),
];

/// Whether an object can be made of this text.
type Fits = fn(&str) -> bool;

fn any(_: &str) -> bool {
    true
}

fn number(text: &str) -> bool {
    text.parse::<u64>().is_ok()
}

fn address(text: &str) -> bool {
    text.parse::<std::net::SocketAddr>().is_ok()
}

/// Most values a stream may carry; they are searched in order.
const MAX_VALUES: usize = 1024;
/// Most bytes of them.
const MAX_BYTES: usize = 1 << 20;

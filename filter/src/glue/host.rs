//! The host's functions, with the types of the core.

use crate::contract::metric_name::CHANGES_ANNOUNCED;
use crate::shared::board::{Lost, Record, Store};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};
use std::ptr::null_mut;
use std::time::Duration;

type Done = Result<(), Status>;

/// Writes a line to the host's log. A failure has nowhere to go.
pub(super) fn log(level: LogLevel, text: &str) {
    let _ = hostcalls::log(level, text);
}

/// Time since the Unix epoch.
pub(super) fn now() -> Option<Duration> {
    let now = hostcalls::get_current_time().ok()?;
    now.duration_since(std::time::UNIX_EPOCH).ok()
}

/// Up to `most` bytes of a buffer; none when the host has no such buffer now.
pub(super) fn buffer(buffer: BufferType, most: usize) -> Vec<u8> {
    hostcalls::get_buffer(buffer, 0, most)
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// A property, by its path as hosts take it: segments with a zero byte between. An empty
/// one counts as absent, as some hosts serve one for the other.
///
/// The SDK's function takes the segments, and puts the path together in two pieces of
/// memory of their own: with two properties for each connection that is a fifth of what
/// the filter costs.
pub(super) fn property(path: &str) -> Option<Vec<u8>> {
    unsafe extern "C" {
        fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
        ) -> u32;
    }
    let (mut value, mut size) = (null_mut(), 0);
    // SAFETY: the host reads the path, and writes to the two places that it is given.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut value, &mut size) };
    if status != Status::Ok as u32 || value.is_null() {
        return None;
    }
    // SAFETY: the host has had this memory allocated by the SDK, as a vector of this
    // capacity, has filled it, and leaves it to who asked.
    Some(unsafe { Vec::from_raw_parts(value, size, size) })
}

/// Sets a property of the connection at hand, for the proxy's log. A host that does not
/// take it logs without.
pub(super) fn set_property(path: &str, value: &str) {
    unsafe extern "C" {
        fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
    }
    // SAFETY: the host reads both. The SDK's function panics when the host refuses.
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
}

/// The property that says who the client of a connection, or a request, is: an address and
/// a port.
pub(super) const CLIENT: &str = "source\0address";

/// A property that is a number.
pub(super) fn number(path: &str) -> Option<u64> {
    Some(u64::from_le_bytes(property(path)?.try_into().ok()?))
}

/// A header's value; bytes that are not UTF-8 are replaced. Absent and empty
/// headers look the same in some hosts, and so do here.
pub(super) fn header(map: MapType, name: &str) -> Option<String> {
    let value = hostcalls::get_map_value_bytes(map, name).ok()??;
    let value = String::from_utf8_lossy(&value).into_owned();
    Some(value).filter(|value| !value.is_empty())
}

/// The host's shared data, and the counter of what is announced in it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The counter's number; 0, which is none, until it is defined.
    changes: u32,
}

impl Shared {
    /// Defines the counter, unless that is done.
    ///
    /// # Errors
    /// When the host has no room for it.
    pub(super) fn open(&mut self) -> Done {
        if self.changes == 0 {
            self.changes = hostcalls::define_metric(MetricType::Counter, CHANGES_ANNOUNCED)?;
        }
        Ok(())
    }
}

impl Store for Shared {
    fn read(&mut self, key: &str) -> Option<Record> {
        let (value, cas) = hostcalls::get_shared_data(key).ok()?;
        Some(Record {
            value: value.unwrap_or_default(),
            cas: cas?,
        })
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<(), Lost> {
        hostcalls::set_shared_data(key, Some(value), expected).map_err(|_| Lost)
    }

    fn version(&mut self) -> u64 {
        hostcalls::get_metric(self.changes).unwrap_or_default()
    }

    fn announce(&mut self) {
        // Fails only without the counter, which there is before there is a balancer.
        let _ = hostcalls::increment_metric(self.changes, 1);
    }
}

/// Calls a function only this host has; what it returns is not looked at.
pub(super) fn call_foreign_function(name: &str, arguments: &[u8]) -> Done {
    hostcalls::call_foreign_function(name, Some(arguments)).map(|_| ())
}

/// Sends a request without a body; the token comes back with the answer.
pub(super) fn http_call(
    cluster: &str,
    headers: &[(String, String)],
    timeout: Duration,
) -> Result<u32, Status> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    hostcalls::dispatch_http_call(cluster, headers.collect(), None, Vec::new(), timeout)
}

/// Answers the request at hand.
pub(super) fn respond(status: u16, headers: &[(&'static str, String)], body: &[u8]) -> Done {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
    hostcalls::send_http_response(u32::from(status), headers.collect(), Some(body))
}

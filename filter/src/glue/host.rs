//! The host's functions, with the types of the core.

use crate::shared::board::{Lost, Record, Store};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, Status};
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

/// A property; an empty one counts as absent, as some hosts serve one for the other.
pub(super) fn property(path: &[&str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok()?
}

/// A property that is a number.
pub(super) fn number(path: &[&str]) -> Option<u64> {
    Some(u64::from_le_bytes(property(path)?.try_into().ok()?))
}

/// A header's value; bytes that are not UTF-8 are replaced. Absent and empty
/// headers look the same in some hosts, and so do here.
pub(super) fn header(map: MapType, name: &str) -> Option<String> {
    let value = hostcalls::get_map_value_bytes(map, name).ok()??;
    let value = String::from_utf8_lossy(&value).into_owned();
    Some(value).filter(|value| !value.is_empty())
}

/// The number of a key of shared data, which changes with its value; 0 when there
/// is no such key.
pub(super) fn shared_data_cas(key: &str) -> u32 {
    hostcalls::get_shared_data(key)
        .ok()
        .and_then(|(_, cas)| cas)
        .unwrap_or(0)
}

/// The host's shared data.
#[derive(Debug)]
pub(super) struct Shared;

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

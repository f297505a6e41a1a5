//! The host's functions: thin, fallible, and without allocation where a
//! connection passes.

use super::memory::with_returned;
use crate::board::{Lost, Record, Store};

/// What a host function did not do, as the ABI numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u32);

const OK: u32 = 0;

type Done = Result<(), Status>;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        most: usize,
        data: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *const u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        data: *const u8,
        size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

fn done(status: u32) -> Done {
    if status == OK {
        Ok(())
    } else {
        Err(Status(status))
    }
}

/// How urgent a line of the log is.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogLevel {
    Info = 2,
    Warn = 3,
    Critical = 5,
}

/// Writes a line to the host's log. There is nobody to tell if that fails.
pub(super) fn log(level: LogLevel, text: &str) {
    // SAFETY: the host reads `text`, which outlives the call.
    let _ = unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// Nanoseconds since the Unix epoch.
pub(super) fn now() -> Result<u64, Status> {
    let mut time = 0;
    // SAFETY: the host writes one u64 to a place that outlives the call.
    done(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) }).map(|()| time)
}

/// Has the calling root ticked every so often; 0: no longer.
pub(super) fn set_tick_period(ms: u32) -> Done {
    // SAFETY: no memory is handed over.
    done(unsafe { proxy_set_tick_period_milliseconds(ms) })
}

/// Makes another context the one that host functions are about.
pub(super) fn set_effective_context(context: u32) -> Done {
    // SAFETY: no memory is handed over.
    done(unsafe { proxy_set_effective_context(context) })
}

/// Closes the downstream connection.
pub(super) fn close_downstream() -> Done {
    const DOWNSTREAM: u32 = 2;
    // SAFETY: no memory is handed over.
    done(unsafe { proxy_close_stream(DOWNSTREAM) })
}

/// The host's buffers that are read here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Buffer {
    RequestBody = 0,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

/// Up to `most` bytes of a buffer; none when the host has no such buffer now.
pub(super) fn buffer(buffer: Buffer, most: usize) -> Vec<u8> {
    returned(<[u8]>::to_vec, |data, size| {
        // SAFETY: the host writes a pointer and a size to places that outlive the call.
        unsafe { proxy_get_buffer_bytes(buffer as u32, 0, most, data, size) }
    })
    .unwrap_or_default()
}

/// A property, its path's parts separated by NUL.
pub(super) fn property<R>(path: &str, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    returned(read, |data, size| {
        // SAFETY: the host reads `path` and writes a pointer and a size, all of
        // which outlive the call.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
    .ok()
}

/// A property that is a number.
pub(super) fn number(path: &str) -> Option<u64> {
    property(path, |bytes| {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    })?
}

/// The host's header maps that are read here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Map {
    Request = 0,
    CallResponse = 6,
}

/// A header's value; bytes that are not UTF-8 are replaced. Absent and empty
/// headers are not told apart by all hosts, and so are not here.
pub(super) fn header(map: Map, name: &str) -> Option<String> {
    let read = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = returned(read, |data, size| {
        // SAFETY: the host reads `name` and writes a pointer and a size, all of
        // which outlive the call.
        unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) }
    });
    value.ok().filter(|value| !value.is_empty())
}

/// The number of a key of shared data, whose value is not looked at; 0 when
/// there is no such key.
pub(super) fn shared_data_cas(key: &str) -> u32 {
    let mut cas = 0;
    let found = returned(
        |_| (),
        // SAFETY: as in `Shared::read`.
        |data, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
        },
    );
    if found.is_ok() { cas } else { 0 }
}

/// The host's shared data.
#[derive(Debug)]
pub(super) struct Shared;

impl Store for Shared {
    fn read(&mut self, key: &str) -> Option<Record> {
        let mut cas = 0;
        let value = returned(<[u8]>::to_vec, |data, size| {
            // SAFETY: the host reads `key` and writes a pointer and two numbers, all
            // of which outlive the call.
            unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) }
        });
        value.ok().map(|value| Record { value, cas })
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<(), Lost> {
        // To the host, 0 means that any number will do.
        let cas = expected.unwrap_or(0);
        // SAFETY: the host reads `key` and `value`, which outlive the call.
        let status = unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        };
        done(status).map_err(|_| Lost)
    }
}

/// Calls a function only this host has; what it returns is not looked at.
pub(super) fn call_foreign_function(name: &str, arguments: &[u8]) -> Done {
    returned(
        |_| (),
        // SAFETY: the host reads `name` and `arguments` and writes a pointer and a
        // size, all of which outlive the call.
        |data, size| unsafe {
            proxy_call_foreign_function(
                name.as_ptr(),
                name.len(),
                arguments.as_ptr(),
                arguments.len(),
                data,
                size,
            )
        },
    )
}

/// Sends a request without a body; the token comes back with the answer.
pub(super) fn http_call(
    cluster: &str,
    headers: &[(String, String)],
    timeout_ms: u32,
) -> Result<u32, Status> {
    let headers = pairs(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let none = pairs(std::iter::empty());
    let mut token = 0;
    // SAFETY: the host reads four slices and writes one u32, all of which outlive
    // the call.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            std::ptr::null(),
            0,
            none.as_ptr(),
            none.len(),
            timeout_ms,
            &raw mut token,
        )
    };
    done(status).map(|()| token)
}

/// Answers the request at hand.
pub(super) fn respond(status: u16, headers: &[(&'static str, String)], body: &[u8]) -> Done {
    const NO_GRPC: i32 = -1;
    let headers = pairs(headers.iter().map(|(name, value)| (*name, value.as_str())));
    // SAFETY: the host reads two slices, which outlive the call.
    done(unsafe {
        proxy_send_local_response(
            u32::from(status),
            std::ptr::null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC,
        )
    })
}

/// The host's kinds of metrics that are used here.
#[derive(Clone, Copy, Debug)]
pub(super) enum MetricKind {
    Counter = 0,
    Gauge = 1,
}

/// The number of a metric, which is made if there is none of that name.
pub(super) fn define_metric(kind: MetricKind, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: the host reads `name` and writes one u32, both of which outlive the call.
    let status =
        unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    done(status).map(|()| id)
}

/// Adds to a counter.
pub(super) fn increment_metric(id: u32, by: u64) -> Done {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    // SAFETY: no memory is handed over.
    done(unsafe { proxy_increment_metric(id, by) })
}

/// Sets a gauge.
pub(super) fn record_metric(id: u32, value: u64) -> Done {
    // SAFETY: no memory is handed over.
    done(unsafe { proxy_record_metric(id, value) })
}

/// Calls a host function that returns a value in our memory, and reads it.
fn returned<R>(
    read: impl FnOnce(&[u8]) -> R,
    call: impl FnOnce(*mut *const u8, *mut usize) -> u32,
) -> Result<R, Status> {
    let (mut data, mut size) = (std::ptr::null(), 0);
    done(call(&raw mut data, &raw mut size))?;
    Ok(with_returned(data, size, read))
}

/// A list of pairs as the ABI writes it: their number, their sizes, their bytes.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(pairs.clone().count() as u32).to_le_bytes());
    for (name, value) in pairs.clone() {
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        for text in [name, value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

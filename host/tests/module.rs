//! What the built filter asks of its host, and what it is called for: these lists, no
//! more and no less. A clock, a socket or WASI that crept in would show here, and so
//! would a function that the filter no longer needs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

#[path = "../build/exports.rs"]
mod exports;
#[path = "../build/set_aside.rs"]
mod set_aside;

use dtr_lb::FILTER;
use wasmparser::{Parser, Payload};

/// What the filter calls.
const CALLED: [&str; 19] = [
    "env.proxy_call_foreign_function",
    "env.proxy_close_stream",
    "env.proxy_define_metric",
    "env.proxy_done",
    "env.proxy_get_buffer_bytes",
    "env.proxy_get_current_time_nanoseconds",
    "env.proxy_get_header_map_value",
    "env.proxy_get_metric",
    "env.proxy_get_property",
    "env.proxy_get_shared_data",
    "env.proxy_http_call",
    "env.proxy_increment_metric",
    "env.proxy_log",
    "env.proxy_record_metric",
    "env.proxy_send_local_response",
    "env.proxy_set_effective_context",
    "env.proxy_set_property",
    "env.proxy_set_shared_data",
    "env.proxy_set_tick_period_milliseconds",
];

/// What it does not, and may import all the same: the SDK's vtables hold a default
/// method for each callback, and with it the function that the method asks.
const OF_THE_SDK: [&str; 17] = [
    "env.proxy_add_header_map_value",
    "env.proxy_continue_stream",
    "env.proxy_dequeue_shared_queue",
    "env.proxy_enqueue_shared_queue",
    "env.proxy_get_header_map_pairs",
    "env.proxy_get_status",
    "env.proxy_grpc_call",
    "env.proxy_grpc_cancel",
    "env.proxy_grpc_close",
    "env.proxy_grpc_send",
    "env.proxy_grpc_stream",
    "env.proxy_register_shared_queue",
    "env.proxy_remove_header_map_value",
    "env.proxy_replace_header_map_value",
    "env.proxy_resolve_shared_queue",
    "env.proxy_set_buffer_bytes",
    "env.proxy_set_header_map_pairs",
];

/// In bytes: a host compiles the module before it can start.
const LARGEST: usize = 696 << 10;

#[test]
fn the_filter_imports_exactly_what_it_needs() {
    let imported = imports(FILTER);

    let known: BTreeSet<&str> = CALLED.into_iter().chain(OF_THE_SDK).collect();
    let new: Vec<_> = imported
        .iter()
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    assert!(
        new.is_empty(),
        "imported and not on the list: {new:?}; what does the filter want with it?"
    );
    let unused: Vec<_> = CALLED
        .into_iter()
        .filter(|name| !imported.contains(*name))
        .collect();
    assert!(
        unused.is_empty(),
        "on the list and not imported: {unused:?}; take it off"
    );
}

#[test]
fn the_filter_is_small() {
    assert!(
        FILTER.len() <= LARGEST,
        "the module has {} bytes, more than {LARGEST}",
        FILTER.len()
    );
}

#[test]
fn the_filter_exports_exactly_what_it_is_called_for() {
    let listed = exports::KEPT.map(|(name, _)| match name {
        set_aside::CALLBACK => set_aside::SET_ASIDE.to_owned(),
        name => name.to_owned(),
    });
    let listed = BTreeSet::from(listed);

    assert_eq!(exported(FILTER), listed);
}

/// The name of every export of a module.
fn exported(module: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(section) = payload.unwrap() {
            names.extend(section.into_iter().map(|one| one.unwrap().name.to_owned()));
        }
    }
    names
}

/// Every import of a module, as `MODULE.NAME`.
fn imports(module: &[u8]) -> BTreeSet<String> {
    let mut imports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload.unwrap() {
            for import in section.into_imports() {
                let import = import.unwrap();
                imports.insert(format!("{}.{}", import.module, import.name));
            }
        }
    }
    imports
}

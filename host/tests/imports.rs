//! What the built filter may ask of its host: this list and nothing else. A clock,
//! a socket or WASI that crept in would show here.

use dtr_lb::FILTER;

const ALLOWED: [&str; 35] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

#[test]
fn the_filter_imports_nothing_but_the_proxys_functions() {
    let engine = wasmtime::Engine::default();
    let filter = wasmtime::Module::new(&engine, FILTER).expect("the filter is a module");
    let imports: Vec<(String, String)> = filter
        .imports()
        .map(|import| (import.module().to_owned(), import.name().to_owned()))
        .collect();
    assert!(
        !imports.is_empty(),
        "a filter that asks nothing balances nothing"
    );
    for (module, name) in imports {
        assert!(
            module == "env" && ALLOWED.contains(&name.as_str()),
            "the filter imports {module}.{name}, which is not on the list; \
             what does it want there?"
        );
    }
}

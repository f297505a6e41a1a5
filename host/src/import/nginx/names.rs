//! NGINX's directives that no part of a configuration here stands for, and why.

/// Whether NGINX has a directive of this name where streams are configured.
pub(super) fn is_known(name: &str) -> bool {
    READ.contains(&name) || reason(name).is_some()
}

/// Why a directive is not taken over; `None`: it is read, or not known.
pub(super) fn reason(name: &str) -> Option<&'static str> {
    let known = NOT_TAKEN.iter().find(|(names, _)| names.contains(&name));
    if let Some((_, reason)) = known {
        return Some(reason);
    }
    let by_prefix = BY_PREFIX
        .iter()
        .find(|(prefix, _)| name.starts_with(prefix));
    by_prefix.map(|(_, reason)| *reason)
}

/// What the reader makes something of.
const READ: [&str; 23] = [
    "events",
    "hash",
    "http",
    "include",
    "least_conn",
    "least_time",
    "listen",
    "mail",
    "map",
    "proxy_connect_timeout",
    "proxy_half_close",
    "proxy_next_upstream",
    "proxy_pass",
    "proxy_protocol",
    "proxy_ssl",
    "proxy_timeout",
    "random",
    "server",
    "server_name",
    "stream",
    "upstream",
    "worker_connections",
    "zone",
];

const NOT_TAKEN: [(&[&str], &str); 24] = [
    (
        &["user"],
        "dtr-lb runs as the user that starts it: set User in the service's unit",
    ),
    (
        &[
            "worker_processes",
            "worker_cpu_affinity",
            "worker_priority",
            "thread_pool",
        ],
        "dtr-lb has one worker for each core",
    ),
    (
        &["worker_rlimit_nofile"],
        "set LimitNOFILE in the service's unit; it decides how many connections there may be",
    ),
    (
        &["worker_shutdown_timeout"],
        "how long connections may go on at the end is \"drain_timeout\"",
    ),
    (
        &[
            "daemon",
            "debug_points",
            "env",
            "lock_file",
            "load_module",
            "master_process",
            "pcre_jit",
            "pid",
            "ssl_engine",
            "timer_resolution",
            "worker_rlimit_core",
            "working_directory",
        ],
        "it has no part in balancing",
    ),
    (
        &[
            "accept_mutex",
            "accept_mutex_delay",
            "debug_connection",
            "multi_accept",
            "use",
            "worker_aio_requests",
        ],
        "how connections are accepted is not configured here",
    ),
    (
        &[
            "access_log",
            "error_log",
            "log_format",
            "open_log_file_cache",
        ],
        "dtr-lb logs to standard error, or where --log-to says, with a line for each connection; DTR_LB_LOG says how much",
    ),
    (
        &["allow", "deny"],
        "name the networks in \"allow\" and \"deny\": the second wins here, whatever the order",
    ),
    (
        &[
            "limit_conn",
            "limit_conn_zone",
            "limit_conn_log_level",
            "limit_conn_dry_run",
        ],
        "say in \"per_client_max_connections\" how many a client may have, over all listeners",
    ),
    (
        &["proxy_download_rate", "proxy_upload_rate"],
        "there is no limit on the rate of a connection",
    ),
    (
        &["proxy_bind"],
        "the system chooses the address from which replicas are reached, and it is never the \
         client's",
    ),
    (
        &[
            "proxy_buffer_size",
            "preread_buffer_size",
            "preread_timeout",
            "tcp_nodelay",
        ],
        "how bytes are forwarded is not configured here; none wait for others",
    ),
    (
        &["proxy_socket_keepalive"],
        "connections to replicas are kept alive by the system's own settings",
    ),
    (
        &["proxy_next_upstream_tries", "proxy_next_upstream_timeout"],
        "a connection tries each replica that may serve once, and all tries share 30 s",
    ),
    (
        &["proxy_requests", "proxy_responses"],
        "it is about UDP, and only TCP is balanced",
    ),
    (
        &["resolver", "resolver_timeout"],
        "names are resolved as this machine does it, again every 5 s (\"dns_refresh\"); for those with \
         \"discover\", \"nameservers\" says who is asked",
    ),
    (
        &["resolve"],
        "names are always resolved again, every 5 s (\"dns_refresh\")",
    ),
    (
        &["set_real_ip_from"],
        "name it in \"accept_proxy_from\", if it is that of proxies which send the PROXY protocol's header",
    ),
    (
        &["health_check", "health_check_timeout", "match"],
        "replicas are asked over HTTP or HTTPS, as \"health\" says",
    ),
    (
        &["state"],
        "replicas are those of the file; the admin listener drains them",
    ),
    (
        &["ssl_preread"],
        "all clients of a listener are given to the same replicas, whatever name they ask for; \
         for several registries write \"services\"",
    ),
    (
        &[
            "geo",
            "geoip_city",
            "geoip_country",
            "geoip_org",
            "map_hash_bucket_size",
            "map_hash_max_size",
            "set",
            "split_clients",
            "variables_hash_bucket_size",
            "variables_hash_max_size",
            "keyval",
            "keyval_zone",
            "server_names_hash_bucket_size",
            "server_names_hash_max_size",
        ],
        "there are no variables: all clients of a listener are given to the same replicas",
    ),
    (
        &[
            "return",
            "pass",
            "status_zone",
            "zone_sync",
            "zone_sync_server",
            "google_perftools_profiles",
            "otel_exporter",
            "mgmt",
            "rtmp",
            "api",
        ],
        "there is no equivalent here",
    ),
    (
        &["sticky", "ntlm", "keepalive", "queue"],
        "it is about HTTP, and nothing looks into connections here",
    ),
];

const BY_PREFIX: [(&str, &str); 3] = [
    (
        "proxy_ssl_",
        "connections to replicas are passed through as clients sent them",
    ),
    (
        "ssl_",
        "TLS passes through to the replicas, which have the certificates",
    ),
    (
        "js_",
        "scripts are not run; a network filter may do the same",
    ),
];

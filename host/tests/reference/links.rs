//! Where more is said of a field.

/// The link of a field, as Markdown.
pub(super) fn link(definition: &str, field: &str) -> Option<String> {
    let place = match definition {
        // What both have is the same.
        "Chain" => "Balancer",
        // What one port has is the same as what all have.
        "CheckSpec" => "Health",
        other => other,
    };
    let of_field = format!("{place}.{field}");
    let (_, title, page) = LINKS.iter().find(|(of, _, _)| *of == of_field)?;
    Some(format!("[{title}]({page})"))
}

/// The field, what is said there, and where that is.
pub(super) const LINKS: [(&str, &str, &str); 38] = [
    ("Balancer.policy", "policies", "balancing.md#policies"),
    ("Balancer.when_all_down", "choosing a replica", CHOICE),
    (
        "Balancer.slow_start",
        "a replica that returns",
        "balancing.md#a-replica-that-returns",
    ),
    ("Replica.weight", "policies", "balancing.md#policies"),
    ("Replica.backup", "choosing a replica", CHOICE),
    (
        "Balancer.passive",
        "passive checks",
        "health.md#passive-checks",
    ),
    ("Balancer.health", "health checks", "health.md"),
    (
        "Balancer.compare_interval",
        "replicas that differ",
        "health.md#replicas-that-differ",
    ),
    (
        "Balancer.cluster_status",
        "the registry's own view",
        "health.md#the-registrys-own-view",
    ),
    ("Balancer.admin", "the admin listener", "admin.md"),
    ("Balancer.state_dir", "orders", "operate.md#orders"),
    ("Balancer.takeover_socket", "upgrade", "upgrade.md"),
    ("Balancer.watch", "reload", "reload.md"),
    ("Balancer.filters", "network filters", "network-filters.md"),
    ("Balancer.clusters", "network filters", "network-filters.md"),
    ("Balancer.idle_timeout", "the end of a connection", END),
    (
        "Balancer.half_close_timeout",
        "the end of a connection",
        END,
    ),
    (
        "Balancer.resend_first_flight",
        "first flight",
        "connections.md#first-flight",
    ),
    ("Balancer.max_connections", "limits", LIMITS),
    ("Listener.max_connections", "limits", LIMITS),
    ("ChainListener.max_connections", "limits", LIMITS),
    (
        "Balancer.per_client_max_connections",
        "clients",
        "clients.md",
    ),
    ("Balancer.allow", "clients", "clients.md"),
    ("Balancer.deny", "clients", "clients.md"),
    (
        "Balancer.accept_proxy_from",
        "the PROXY protocol",
        PROXY_PROTOCOL,
    ),
    (
        "Balancer.proxy_protocol_timeout",
        "the PROXY protocol",
        PROXY_PROTOCOL,
    ),
    (
        "Listener.proxy_protocol",
        "the PROXY protocol",
        PROXY_PROTOCOL,
    ),
    ("Balancer.dns_refresh", "names", "names.md"),
    ("Balancer.nameservers", "names", "names.md"),
    ("Replica.discover", "names", "names.md"),
    ("Balancer.drain_delay", "drain", "drain.md"),
    ("Balancer.drain_timeout", "drain", "drain.md"),
    ("Replica.state", "orders", "operate.md#orders"),
    ("Services.services", "services", "services.md"),
    ("Services.hello_timeout", "services", "services.md"),
    ("Service.names", "services", "services.md"),
    (
        "NetworkFilter.failure",
        "network filters",
        "network-filters.md",
    ),
    ("Health.body", "health", "health.md"),
];

const CHOICE: &str = "balancing.md#which-may-serve";
const LIMITS: &str = "connections.md#limits";
const END: &str = "connections.md#the-end-of-a-connection";
const PROXY_PROTOCOL: &str = "clients.md#the-proxy-protocol";

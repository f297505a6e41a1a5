//! The configuration as the operator writes it: JSON, with defaults left out.

use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::config::{OnDown, Policy, Start, WhenAllDown};
use schemars::JsonSchema;
use serde::Deserialize;

use super::check_spec::{BodySpec, CheckSpec};
use super::discover::Discover;
use super::preset::Preset;
use crate::config::address::{Address, Bind, Fqdn, NameServer, PortName};
use crate::config::admin::AdminSpec;
use crate::config::duration::BoundedDuration;
use crate::config::network::Network;
use crate::config::network_filter::NetworkFilterSpec;
use crate::config::number::{BoundedInt, Fraction, MaxConnections, Port, Statuses};
use crate::config::proxy_protocol::ProxyProtocol;
use crate::config::string::{HeaderName, HeaderValue, RegistryId, ReplicaName};
use crate::config::target::Target;
use crate::config::words::Words;
use crate::unique_map::UniqueMap;

/// A balancer: replicas, where clients reach them, and how they are probed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Balancer")]
pub(in crate::config) struct File {
    /// The name clients use; Host and SNI of the probes.
    pub(super) fqdn: Fqdn,
    /// At least one.
    pub(super) replicas: Vec<Replica>,
    /// Where connections are accepted [default: 80 and 443 on 0.0.0.0].
    pub(super) listeners: Option<Vec<Listener>>,
    /// How one of several usable replicas is chosen [default: least-connections].
    #[schemars(with = "Option<Words<Policy>>")]
    pub(super) policy: Option<Policy>,
    /// What happens to a new connection when no replica is usable: it is closed at once, or
    /// given to a replica all the same [default: refuse].
    #[schemars(with = "Option<Words<WhenAllDown>>")]
    pub(super) when_all_down: Option<WhenAllDown>,
    /// What happens to the connections of a replica that turns unhealthy [default: keep].
    #[schemars(with = "Option<Words<OnDown>>")]
    pub(super) on_down: Option<OnDown>,
    /// The balancer's own /_ping answers 200 while this many replicas are usable; at most
    /// the number of replicas [default: 1].
    pub(super) min_healthy: Option<BoundedInt<1, 100_000>>,
    /// A recovered replica's share grows to its weight within this time [default: 0s].
    pub(super) slow_start: Option<BoundedDuration<0>>,
    /// When connect failures take a replica out.
    #[serde(default)]
    pub(super) passive: Passive,
    /// How and when replicas are probed.
    #[serde(default)]
    pub(super) health: Health,
    /// How often the replicas are compared with each other, at least 1ms [default: 1m].
    pub(super) compare_interval: Option<BoundedDuration<1>>,
    /// Has each replica say how it sees the cluster, as a second witness [default: none].
    pub(super) cluster_status: Option<ClusterStatus>,
    /// Where status, API and metrics are served [default: nowhere].
    pub(super) admin: Option<AdminSpec>,
    /// A folder, from the configuration's own, in which orders are kept for the next start
    /// [default: none].
    pub(super) state_dir: Option<String>,
    /// Where the process that takes this one's place finds it: a Unix socket, from the
    /// configuration's folder [default: takeover.sock in RUNTIME_DIRECTORY, where that is set].
    pub(super) takeover_socket: Option<String>,
    /// Whether a change of this file is taken over at once, as after SIGHUP [default: false].
    #[serde(default)]
    pub(super) watch: bool,
    /// Network filters that others wrote, at most 32, which connections meet before the
    /// balancer [default: none].
    #[serde(default)]
    pub(super) filters: Vec<NetworkFilterSpec>,
    /// How long one connect attempt to a replica may take, at least 1ms; then the next
    /// replica is tried [default: 1s].
    pub(super) connect_timeout: Option<BoundedDuration<1>>,
    /// How long a connection may be silent both ways, at least 1ms [default: for ever].
    pub(super) idle_timeout: Option<BoundedDuration<1>>,
    /// Whether another replica is tried when one accepts a connection and ends it before its
    /// first byte [default: true].
    pub(super) resend_first_flight: Option<bool>,
    /// How long a side may be silent once the other has finished, at least 1ms [default: 1h].
    pub(super) half_close_timeout: Option<BoundedDuration<1>>,
    /// Clients' connections open at once, over all listeners [default: as many as there are
    /// files for].
    pub(super) max_connections: Option<MaxConnections>,
    /// At most this many connections of one client at once [default: no limit].
    pub(super) per_client_max_connections: Option<MaxConnections>,
    /// The networks that clients may connect from [default: all].
    pub(super) allow: Option<Vec<Network>>,
    /// The networks that they may not connect from, even where they are allowed [default:
    /// none].
    pub(super) deny: Option<Vec<Network>>,
    /// The networks of proxies that say by the PROXY protocol who their clients are; from
    /// everybody else such a header is refused [default: nobody's, and nothing is looked at].
    pub(super) accept_proxy_from: Option<Vec<Network>>,
    /// How long such a proxy may take to say so, at least 1ms; then it is closed [default: 5s].
    pub(super) proxy_protocol_timeout: Option<BoundedDuration<1>>,
    /// How often DNS names are resolved again, at least 10ms [default: 5s].
    pub(super) dns_refresh: Option<BoundedDuration<10>>,
    /// Who is asked for the names that stand for many replicas: IP addresses, each with a port
    /// where it is not 53 [default: those of the system].
    #[serde(default)]
    pub(super) nameservers: Vec<NameServer>,
    /// How long connections are still accepted after SIGTERM, while /ready and /_ping say 503
    /// already [default: 0s].
    pub(super) drain_delay: Option<BoundedDuration<0>>,
    /// How long open connections may go on then [default: 60s].
    pub(super) drain_timeout: Option<BoundedDuration<0>>,
    /// Where this file's schema is, for editors; not read.
    #[serde(rename = "$schema")]
    _schema: Option<String>,
}

/// One replica.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replica {
    /// Names it in the log, the metrics and /status; unique [default: r1, r2, ... by place].
    pub(super) name: Option<ReplicaName>,
    /// Its id in the registry, as cluster_status names it [default: not known].
    pub(super) id: Option<RegistryId>,
    /// Where it is: an IPv4 address, an IPv6 address or a DNS name, without a port.
    pub(super) address: Address,
    /// Whether its address is a DNS name that stands for many replicas: one for each of its
    /// addresses, or of its SRV records when it begins as _https._tcp does [default: no].
    pub(super) discover: Option<Discover>,
    /// Its share relative to the others [default: 1].
    pub(super) weight: Option<BoundedInt<1, 1000>>,
    /// Used only when no other replica is usable [default: false].
    #[serde(default)]
    pub(super) backup: bool,
    /// A full replica is passed over [default: no limit].
    pub(super) max_connections: Option<MaxConnections>,
    /// What is wanted of it until something else is ordered while all is running [default:
    /// ready].
    #[schemars(with = "Option<Words<Order>>")]
    pub(super) state: Option<Order>,
    /// Its own port for a port of a listener or check, where that differs: {"443": 8443}.
    #[serde(default)]
    pub(super) ports: UniqueMap<PortName, Port>,
}

/// One address to listen on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    /// Where connections are accepted: an IP address and a port; port 0 means any free one.
    pub(super) bind: Bind,
    /// Which of the service's ports it is, and so which port of the replicas it leads to
    /// [default: the port of bind].
    pub(super) port: Option<Port>,
    /// Clients' connections open here at once [default: no limit of its own].
    pub(super) max_connections: Option<MaxConnections>,
    /// The version of the PROXY protocol in which replicas are sent the client's address on this
    /// port [default: none is sent].
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    /// The check a replica must pass to serve this port [default: the general one].
    pub(super) health: Option<CheckSpec>,
}

/// When connect failures take a replica out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Passive {
    /// This many connect attempts of real connections that failed ... [default: 1]
    pub(super) fails: Option<BoundedInt<1, 1000>>,
    /// ... within this time ... [default: 10s]
    pub(super) window: Option<BoundedDuration<1>>,
    /// ... take a replica out for this time, unless no other is left [default: 5s].
    pub(super) hold: Option<BoundedDuration<1>>,
}

/// How and when replicas are probed.
// The first six fields are those of [`CheckSpec`]: serde can't both flatten a struct
// and refuse unknown fields.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    /// Path and expectations of a known registry [default: dtr].
    preset: Option<Preset>,
    /// Where and how it is probed: https:PORT/PATH, http:PORT/PATH or tcp:PORT [default:
    /// https:443 and the preset's path].
    target: Option<Target>,
    /// Statuses of a healthy answer: numbers, or ranges such as "200-399" [default: the
    /// preset's].
    statuses: Option<Vec<Statuses>>,
    /// Sent with the request; not host [default: none].
    headers: Option<UniqueMap<HeaderName, HeaderValue>>,
    /// What a JSON body must say [default: the preset's].
    body: Option<BodySpec>,
    /// How the certificate is checked when the target is https: system, none, or the path of
    /// a PEM file, from the configuration's folder [default: system].
    verify: Option<String>,
    /// Between two probes of a replica whose state is settled; at least timeout [default: 2s].
    pub(super) interval: Option<BoundedDuration<1>>,
    /// While a change is pending; at most interval [default: half of interval].
    pub(super) fast_interval: Option<BoundedDuration<1>>,
    /// Between two probes of a replica that is down [default: interval].
    pub(super) down_interval: Option<BoundedDuration<1>>,
    /// How long a probe may stay unanswered [default: 2s, or interval when that is shorter].
    pub(super) timeout: Option<BoundedDuration<1>>,
    /// Each interval varies by up to this part of itself [default: 0.1].
    pub(super) jitter: Option<Fraction>,
    /// Good answers in a row that bring a replica back [default: 2].
    pub(super) rise: Option<BoundedInt<1, 1000>>,
    /// Bad answers in a row that take it out [default: 3].
    pub(super) fall: Option<BoundedInt<1, 1000>>,
    /// What a replica counts as before its first answer [default: up].
    #[schemars(with = "Option<Words<Start>>")]
    pub(super) start: Option<Start>,
}

impl Health {
    /// The general check.
    pub(super) fn check(&self) -> CheckSpec {
        CheckSpec {
            preset: self.preset,
            target: self.target.clone(),
            statuses: self.statuses.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            verify: self.verify.clone(),
        }
    }
}

/// What the registry itself says of its replicas, asked at /api/v0/meta/cluster_status.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterStatus {
    /// How often each replica is asked, at least 1s [default: 60s].
    pub(super) interval: Option<BoundedDuration<1000>>,
    /// An administrator of the registry.
    pub(super) user: String,
    /// A file whose only line is the password, from the configuration's folder.
    pub(super) password_file: String,
    /// Whether the password may go over a connection whose other end nobody has verified
    /// [default: false].
    #[serde(default)]
    pub(super) insecure: bool,
}

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
use crate::config::network::{MOST_NETWORKS, Network};
use crate::config::network_filter::{MOST_FILTERS, NetworkFilterSpec};
use crate::config::number::{BoundedInt, Fraction, MaxConnections, Port, Statuses};
use crate::config::proxy_protocol::ProxyProtocol;
use crate::config::string::{HeaderName, HeaderValue, RegistryId, ReplicaName};
use crate::config::target::Target;
use crate::config::text::{PATH, VERIFY};
use crate::config::words::Words;
use crate::unique_map::UniqueMap;

/// A balancer: replicas, where clients reach them, and how they are probed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Balancer")]
pub(in crate::config) struct File {
    /// The name clients use; `Host` and SNI of the probes.
    pub(super) fqdn: Fqdn,
    /// The replicas that share the connections.
    #[schemars(length(min = 1))]
    pub(super) replicas: Vec<Replica>,
    /// Where connections are accepted [default: 80 and 443 on 0.0.0.0].
    #[schemars(length(min = 1))]
    pub(super) listeners: Option<Vec<Listener>>,
    /// How one of several usable replicas is chosen: by the fewest open connections for its
    /// weight, in turn by weight, as the better of two picked at random, or by the client's
    /// address; HAProxy's `leastconn`, `roundrobin`, `random` and `source` [default:
    /// `least-connections`].
    #[schemars(with = "Option<Words<Policy>>")]
    pub(super) policy: Option<Policy>,
    /// What happens to a new connection when no replica is usable: it is closed at once, or
    /// given to a replica all the same [default: `refuse`].
    #[schemars(with = "Option<Words<WhenAllDown>>")]
    pub(super) when_all_down: Option<WhenAllDown>,
    /// What happens to the connections of a replica that turns unhealthy: they go on, or are
    /// closed [default: `keep`].
    #[schemars(with = "Option<Words<OnDown>>")]
    pub(super) on_down: Option<OnDown>,
    /// The balancer's own `/_ping` answers 200 while this many replicas are usable, or only
    /// held back for failures of connections; at most the number of replicas [default: `1`].
    pub(super) min_healthy: Option<BoundedInt<1, 100_000>>,
    /// A recovered replica's share grows to its weight within this time [default: `0s`].
    pub(super) slow_start: Option<BoundedDuration<0>>,
    /// When connections that fail take a replica out [default: its fields' own].
    #[serde(default)]
    pub(super) passive: Passive,
    /// How and when replicas are probed [default: its fields' own].
    #[serde(default)]
    pub(super) health: Health,
    /// How often the replicas are compared with each other [default: `60s`].
    pub(super) compare_interval: Option<BoundedDuration<1>>,
    /// How the registry is asked for its own word on its replicas, which is shown and never a
    /// verdict [default: it is not asked].
    pub(super) cluster_status: Option<ClusterStatus>,
    /// Where status, API and metrics are served [default: nowhere].
    pub(super) admin: Option<AdminSpec>,
    /// A folder that is there, where orders are kept for the next start, in `orders.json`; the
    /// user that runs dtr-lb writes there; not in Envoy [default: none].
    #[schemars(title = PATH)]
    pub(super) state_dir: Option<String>,
    /// The Unix socket on which a new process takes this one's place, in a folder that is there;
    /// at most 99 bytes with its folder; not in Envoy [default: takeover.sock in
    /// `$RUNTIME_DIRECTORY`, which systemd sets; otherwise none].
    #[schemars(title = PATH)]
    pub(super) takeover_socket: Option<String>,
    /// Whether a change of this file is taken over at once, as after SIGHUP; for Envoy there is
    /// `dtr-lb envoy --watch` [default: `false`].
    #[serde(default)]
    pub(super) watch: bool,
    /// Network filters that others wrote, in the order connections meet them, before the
    /// balancer; not for `dtr-lb envoy` [default: none].
    #[serde(default)]
    #[schemars(length(max = MOST_FILTERS))]
    pub(super) filters: Vec<NetworkFilterSpec>,
    /// How long one connect attempt to a replica may take; then the next replica is tried
    /// [default: `1s`].
    pub(super) connect_timeout: Option<BoundedDuration<1>>,
    /// How long a connection may be silent both ways [default: for ever].
    pub(super) idle_timeout: Option<BoundedDuration<1>>,
    /// Whether another replica is tried when one accepts a connection and ends it before its
    /// first byte; not in Envoy [default: `true`].
    pub(super) resend_first_flight: Option<bool>,
    /// How long a side may be silent once the other has finished: HAProxy's `timeout
    /// client-fin`, both ways. A side that has finished and then vanishes ends the connection
    /// earlier: when the system notices, but not within the first ten seconds of the connection
    /// [default: `1h`].
    pub(super) half_close_timeout: Option<BoundedDuration<1>>,
    /// Clients' connections open at once, over all listeners; those beyond it wait [default: as
    /// many as there are files for].
    pub(super) max_connections: Option<MaxConnections>,
    /// Connections of one client open at once, over all listeners; one more is closed [default:
    /// no limit].
    pub(super) per_client_max_connections: Option<MaxConnections>,
    /// The networks that clients may connect from [default: all].
    #[schemars(length(min = 1, max = MOST_NETWORKS))]
    pub(super) allow: Option<Vec<Network>>,
    /// The networks that they may not connect from, even where they are allowed [default:
    /// none].
    #[schemars(length(min = 1, max = MOST_NETWORKS))]
    pub(super) deny: Option<Vec<Network>>,
    /// The networks of proxies that say by the PROXY protocol who their clients are; from
    /// everybody else such a header is refused [default: nobody's, and nothing is looked at].
    #[schemars(length(min = 1, max = MOST_NETWORKS))]
    pub(super) accept_proxy_from: Option<Vec<Network>>,
    /// How long such a proxy may take to say so; then it is closed [default: `5s`].
    pub(super) proxy_protocol_timeout: Option<BoundedDuration<1>>,
    /// How often DNS names are resolved again; the last good answer is kept when that fails
    /// [default: `5s`].
    pub(super) dns_refresh: Option<BoundedDuration<10>>,
    /// Who is asked for names that stand for many replicas [default: those of the system].
    #[serde(default)]
    pub(super) nameservers: Vec<NameServer>,
    /// How long connections are still accepted after SIGTERM, while `/ready` and `/_ping` say
    /// 503 already, so that whatever asks there moves its clients away first [default: `0s`].
    pub(super) drain_delay: Option<BoundedDuration<0>>,
    /// How long open connections may go on then; a second signal cuts them, during
    /// `drain_delay` too [default: `60s`].
    pub(super) drain_timeout: Option<BoundedDuration<0>>,
    /// Where this file's schema is, for editors; not read [default: none].
    #[serde(rename = "$schema")]
    #[schemars(title = "any text")]
    _schema: Option<String>,
}

/// One replica.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replica {
    /// Names it in the log, the metrics and `/status`; unique, and not of dots alone [default:
    /// `r1`, `r2`, ... by place].
    pub(super) name: Option<ReplicaName>,
    /// Its id in the registry, as `cluster_status` names it; unique [default: not known].
    pub(super) id: Option<RegistryId>,
    /// Where it is. Its ports are those of the listeners and checks, or stand in `ports`.
    pub(super) address: Address,
    /// Whether its address is a DNS name that stands for many replicas: one for each of its
    /// addresses, or of its SRV records when it begins as `_https._tcp` does [default: no].
    pub(super) discover: Option<Discover>,
    /// Its share relative to the others [default: `1`].
    pub(super) weight: Option<BoundedInt<1, 1000>>,
    /// Whether it is used only when no other replica is usable [default: `false`].
    #[serde(default)]
    pub(super) backup: bool,
    /// Its connections open at once, over all workers; a full replica is passed over [default:
    /// no limit].
    pub(super) max_connections: Option<MaxConnections>,
    /// What is wanted of it, as in an order, until something else is ordered; whichever of file
    /// and order was changed last counts [default: `ready`].
    #[schemars(with = "Option<Words<Order>>")]
    pub(super) state: Option<Order>,
    /// Its own port for a port of a listener or check, where that differs: `{"443": 8443}`
    /// [default: the same ports].
    #[serde(default)]
    pub(super) ports: UniqueMap<PortName, Port>,
}

/// One address to listen on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    /// Where connections are accepted: `0.0.0.0` is all of IPv4 and `[::]` all of IPv6; port 0
    /// is any free one.
    pub(super) bind: Bind,
    /// Which of the service's ports it is, and so which port of the replicas it leads to
    /// [default: the port of `bind`].
    pub(super) port: Option<Port>,
    /// Clients' connections open here at once; those beyond it wait [default: no limit of its
    /// own].
    pub(super) max_connections: Option<MaxConnections>,
    /// The version of the PROXY protocol in which replicas are sent the client's address on this
    /// port; listeners of one port have the same [default: none is sent].
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    /// The check a replica must pass to serve this port; listeners of one port have the same
    /// [default: the general one].
    pub(super) health: Option<CheckSpec>,
}

/// When connect failures take a replica out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Passive {
    /// How many connect attempts of clients' connections must fail within `window` to take a
    /// replica out. It is also taken out when it ends three connections in a row before their
    /// first byte, or `fails` of them if that is more [default: `1`].
    pub(super) fails: Option<BoundedInt<1, 1000>>,
    /// Within which time the failures count together [default: `10s`].
    pub(super) window: Option<BoundedDuration<1>>,
    /// For how long the replica is then taken out, unless no other is left [default: `5s`].
    pub(super) hold: Option<BoundedDuration<1>>,
}

/// How and when replicas are probed.
// The first six fields are those of [`CheckSpec`]: serde can't both flatten a struct
// and refuse unknown fields.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    /// Path and expectations of a known registry [default: `dtr`].
    preset: Option<Preset>,
    /// Where and how replicas are probed [default: the preset's].
    target: Option<Target>,
    /// Statuses of a healthy answer [default: the preset's].
    #[schemars(length(min = 1))]
    statuses: Option<Vec<Statuses>>,
    /// Headers sent with the request; not `host`, which is the `fqdn`, nor those of the
    /// connection [default: none].
    headers: Option<UniqueMap<HeaderName, HeaderValue>>,
    /// What a JSON body must say [default: the preset's].
    body: Option<BodySpec>,
    /// How the certificate is checked when the target is https: against the system's roots, not
    /// at all, or against those of a PEM file [default: `system`].
    #[schemars(title = VERIFY)]
    verify: Option<String>,
    /// Between two probes of a replica whose state is settled; at least `timeout` [default:
    /// `2s`, or `timeout` when that is longer].
    pub(super) interval: Option<BoundedDuration<1>>,
    /// Between two probes while a change is pending; at most `interval` [default: half of
    /// `interval`].
    pub(super) fast_interval: Option<BoundedDuration<1>>,
    /// Between two probes of a replica that is down [default: that of `interval`].
    pub(super) down_interval: Option<BoundedDuration<1>>,
    /// How long a probe may stay unanswered [default: `2s`, or `interval` when that is
    /// shorter].
    pub(super) timeout: Option<BoundedDuration<1>>,
    /// Each interval varies by up to this part of itself, so that replicas are not probed in
    /// step [default: `0.1`].
    pub(super) jitter: Option<Fraction>,
    /// Good answers in a row that bring a replica back [default: `2`].
    pub(super) rise: Option<BoundedInt<1, 1000>>,
    /// Bad answers in a row that take it out [default: `3`].
    pub(super) fall: Option<BoundedInt<1, 1000>>,
    /// What a replica counts as before its first answer; that answer settles it [default:
    /// `up`].
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
    /// How often each replica is asked [default: `60s`].
    pub(super) interval: Option<BoundedDuration<1000>>,
    /// An administrator of the registry.
    #[schemars(title = "a name without a colon")]
    pub(super) user: String,
    /// The file whose only line is the password; read again at each reload.
    #[schemars(title = PATH)]
    pub(super) password_file: String,
    /// Whether the password may go where nobody has verified who answers [default: `false`].
    #[serde(default)]
    pub(super) insecure: bool,
}

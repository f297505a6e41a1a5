//! Looks names up in DNS: their addresses, or their SRV records.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::Instant;

use crate::config::is_srv;

/// Where the replicas are that a name stands for, in order; never empty.
pub(super) type Answer = BTreeSet<Found>;

/// What a look-up has found.
pub(super) struct LookedUp {
    pub(super) answer: Answer,
    pub(super) good_for: Duration,
    /// The first target of records that DNS does not answer for, and why; `None`: it does for
    /// all.
    pub(super) unanswered: Option<String>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) ip: IpAddr,
    /// What an SRV record says of it; `None`: it is an address alone.
    pub(super) record: Option<Record>,
}

/// An SRV record, as in [RFC 2782](https://www.rfc-editor.org/rfc/rfc2782).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) port: u16,
    /// The lower, the sooner it is used.
    pub(super) priority: u16,
    pub(super) weight: u16,
    /// Whose address it is.
    pub(super) target: String,
}

/// Who is asked.
#[derive(Clone)]
pub(super) struct NameServers {
    /// None: those of the system.
    addresses: Vec<SocketAddr>,
    /// Which these are, and how they are asked.
    system: fn() -> Result<SystemConfig, NetError>,
    /// `None`: not made yet, or it could not be.
    resolver: Option<TokioResolver>,
}

pub(super) type SystemConfig = (ResolverConfig, ResolverOpts);

impl Default for NameServers {
    fn default() -> NameServers {
        NameServers::with_system(read_system_conf)
    }
}

impl NameServers {
    pub(super) fn with_system(system: fn() -> Result<SystemConfig, NetError>) -> NameServers {
        NameServers {
            addresses: Vec::new(),
            system,
            resolver: None,
        }
    }

    /// Asks these from now on. Those of the system may be others than they were; where they
    /// can't be read, the last are asked.
    pub(super) fn follow(&mut self, addresses: &[SocketAddr]) {
        if self.addresses != addresses {
            self.addresses = addresses.to_owned();
            self.resolver = None;
        } else if !addresses.is_empty() {
            return;
        }
        if let Ok(resolver) = self.make() {
            self.resolver = Some(resolver);
        }
    }

    /// Who asks them.
    ///
    /// # Errors
    /// They can't be known. The next time they may be.
    pub(super) fn resolver(&mut self) -> Result<TokioResolver, String> {
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => self.make()?,
        };
        Ok(self.resolver.insert(resolver).clone())
    }

    fn make(&self) -> Result<TokioResolver, String> {
        let (config, mut options) = match &self.addresses[..] {
            [] => (self.system)()
                .map_err(|error| format!("the system's name servers can't be read: {error}"))?,
            given => {
                let servers = given.iter().copied().map(name_server).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                (config, ResolverOpts::default())
            }
        };
        // Each answer is asked for when it is over.
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| error.to_string())
    }
}

/// What a name stands for, and how long that is good for. A target that DNS does not answer
/// for keeps the addresses that it has in `last`.
///
/// # Errors
/// DNS has nothing, or does not say.
pub(super) async fn look_up(
    resolver: &TokioResolver,
    name: &str,
    last: &Answer,
) -> Result<LookedUp, String> {
    let looked_up = match is_srv(name) {
        true => records(resolver, name, last).await?,
        false => {
            let (addresses, until) = addresses(resolver, name).await.map_err(reason)?;
            let found = addresses.into_iter().map(|ip| Found { ip, record: None });
            LookedUp {
                answer: found.collect(),
                good_for: until.saturating_duration_since(Instant::now()),
                unanswered: None,
            }
        }
    };
    match (looked_up.answer.is_empty(), looked_up.unanswered) {
        (true, Some(problem)) => Err(problem),
        (true, None) => Err("no address that a replica could have".to_owned()),
        (false, unanswered) => Ok(LookedUp {
            unanswered,
            ..looked_up
        }),
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

async fn addresses(
    resolver: &TokioResolver,
    name: &str,
) -> Result<(BTreeSet<IpAddr>, Instant), NetError> {
    let answer = resolver.lookup_ip(name).await?;
    let usable = answer.iter().map(|ip| ip.to_canonical());
    let usable = usable.filter(|ip| !ip.is_unspecified() && !ip.is_multicast());
    Ok((usable.take(MOST).collect(), answer.valid_until().into()))
}

/// The servers of the records, each at all its addresses.
async fn records(resolver: &TokioResolver, name: &str, last: &Answer) -> Result<LookedUp, String> {
    let answer = resolver.srv_lookup(name).await.map_err(reason)?;
    let mut found = Answer::new();
    let mut until = Instant::from(answer.valid_until());
    let mut unanswered = None;
    let records = answer.answers().iter().filter_map(|one| match &one.data {
        // A dot says that there is none.
        RData::SRV(record) if !record.target.is_root() && record.port > 0 => Some(record),
        _ => None,
    });
    for record in records {
        let target = record.target.to_string();
        let addresses = match addresses(resolver, &target).await {
            Ok((found, good_until)) => {
                until = until.min(good_until);
                found
            }
            // One that is going away.
            Err(error) if error.is_no_records_found() => continue,
            Err(error) => {
                unanswered.get_or_insert(format!("{target}: {}", reason(error)));
                addresses_of(&target, last)
            }
        };
        let of_record = addresses.into_iter().map(|ip| Found {
            ip,
            record: Some(Record {
                port: record.port,
                priority: record.priority,
                weight: record.weight,
                target: target.clone(),
            }),
        });
        found.extend(of_record.take(MOST - found.len().min(MOST)));
    }
    Ok(LookedUp {
        answer: found,
        good_for: until.saturating_duration_since(Instant::now()),
        unanswered,
    })
}

/// Those that an answer has of a target.
fn addresses_of(target: &str, answer: &Answer) -> BTreeSet<IpAddr> {
    let of_it = |one: &&Found| (one.record.as_ref()).is_some_and(|it| it.target == target);
    answer.iter().filter(of_it).map(|one| one.ip).collect()
}

fn reason(error: NetError) -> String {
    match (error.is_nx_domain(), error.is_no_records_found()) {
        (true, _) => "there is no such name".to_owned(),
        (_, true) => "the name has none".to_owned(),
        _ => error.to_string(),
    }
}

/// Replicas of one name: what an answer holds is somebody else's choice.
const MOST: usize = 1000;

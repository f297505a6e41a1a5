//! Where the replicas are: each address of each of them.

use std::io;
use std::net::IpAddr;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::options::SurveyOptions;
use crate::config::{Address, Config};

/// A replica at one of its addresses.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The replica's place in the configuration.
    pub(super) replica: usize,
    /// The replica's name, and where it has several addresses which of them.
    pub(super) label: String,
    /// A name: it has no address.
    pub(super) address: Address,
    /// Why it has none.
    pub(super) unresolved: Option<String>,
}

/// Every address of every replica, in the configuration's order. A balancer connects to
/// the first of a name's addresses that accepts, and to any of them sooner or later.
pub(super) async fn all(config: &Config, options: &SurveyOptions) -> Vec<Place> {
    let mut looking_up = JoinSet::new();
    for (replica, configured) in config.replicas.iter().enumerate() {
        if let Address::Name(name) = &configured.address {
            let (lookup, limit) = ((options.lookup)(name.clone()), options.resolve_limit);
            looking_up.spawn(async move {
                let late = || Err(io::ErrorKind::TimedOut.into());
                (
                    replica,
                    timeout(limit, lookup).await.unwrap_or_else(|_| late()),
                )
            });
        }
    }
    let mut found: Vec<_> = config.replicas.iter().map(|_| None).collect();
    while let Some(looked_up) = looking_up.join_next().await {
        if let Ok((replica, outcome)) = looked_up
            && let Some(found) = found.get_mut(replica)
        {
            *found = Some(outcome);
        }
    }
    let mut places = Vec::new();
    for (replica, (configured, found)) in config.replicas.iter().zip(found).enumerate() {
        let place = |label: String, address| Place {
            replica,
            label,
            address,
            unresolved: None,
        };
        let name = configured.name.clone();
        match &configured.address {
            Address::Ip(_) => places.push(place(name, configured.address.clone())),
            Address::Name(_) => match addresses(found) {
                Ok(addresses) => {
                    let has_several = addresses.len() > 1;
                    places.extend(addresses.into_iter().map(|ip| {
                        let label = match has_several {
                            true => format!("{name} at {ip}"),
                            false => name.clone(),
                        };
                        place(label, Address::Ip(ip))
                    }));
                }
                Err(why) => places.push(Place {
                    unresolved: Some(why),
                    ..place(name, configured.address.clone())
                }),
            },
        }
    }
    places
}

fn addresses(found: Option<io::Result<Vec<IpAddr>>>) -> Result<Vec<IpAddr>, String> {
    match found {
        Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Some(Err(error)) => Err(error.to_string()),
        _ => Err("no address".to_owned()),
    }
}

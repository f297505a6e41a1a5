//! Addresses in DNS where the balancer itself listens.

use std::fmt;
use std::net::SocketAddr;

use crate::config::{Address, Config, Replica};
use crate::net::own_address;

/// Where the balancer runs that would connect to itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Machine {
    /// Which can be asked for its addresses.
    This,
    /// This one or any other: an Envoy's.
    #[default]
    Another,
}

/// What DNS says of a name that the balancer itself is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OwnAddress {
    pub(super) name: String,
    address: SocketAddr,
    listener: SocketAddr,
}

impl OwnAddress {
    /// That of a replica found by `name`; `None`: it is somewhere else, as far as is known.
    pub(super) fn of(
        replica: &Replica,
        name: &str,
        config: &Config,
        machine: Machine,
    ) -> Option<OwnAddress> {
        let Address::Ip(ip) = replica.address else {
            return None;
        };
        let served = config.listeners.iter().map(|one| one.port);
        let checked = config.checks.iter().map(|one| one.port);
        served.chain(checked).find_map(|port| {
            let address = SocketAddr::new(ip, replica.port(port));
            let traffic = config.listeners.iter().map(|one| one.bind);
            let mut binds = traffic.chain(config.admin.as_ref().map(|admin| admin.bind));
            let listener = binds.find(|bind| machine.leads(address, *bind))?;
            Some(OwnAddress {
                name: name.to_owned(),
                address,
                listener,
            })
        })
    }
}

impl fmt::Display for OwnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DNS leads to {}, where the balancer itself listens ({}): it is left out; take it \
             out of DNS, or give the replicas another port",
            self.address, self.listener
        )
    }
}

impl Machine {
    /// Whether a connection to `address` reaches a listener on `bind` there.
    fn leads(self, address: SocketAddr, bind: SocketAddr) -> bool {
        match self {
            Machine::This => own_address::reaches(address, bind),
            Machine::Another => address == bind,
        }
    }
}

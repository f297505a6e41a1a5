//! Listening sockets that the process was given.

use std::fmt;
use std::net::{SocketAddr, TcpListener as StdListener};

use rustix::net::sockopt::socket_acceptconn;

use crate::error::StartError;
use crate::plan::Plan;
use crate::proxy::bound_listener::BoundListener;

/// Listening sockets that a service manager has bound: systemd's `LISTEN_FDS`. A listener
/// of the plan takes those on its address.
#[derive(Default)]
pub struct PassedSockets(Vec<BoundListener>);

impl PassedSockets {
    /// Several sockets on one address are one listener's.
    ///
    /// # Errors
    /// When one of them does not listen.
    pub fn new(sockets: Vec<StdListener>) -> Result<PassedSockets, StartError> {
        let mut by_address: Vec<(SocketAddr, Vec<StdListener>)> = Vec::new();
        for socket in sockets {
            let address = socket.local_addr().map_err(StartError::PassedSocket)?;
            if !socket_acceptconn(&socket).is_ok_and(|listens| listens) {
                return Err(StartError::PassedAndSilent { address });
            }
            match by_address.iter_mut().find(|(known, _)| *known == address) {
                Some((_, sockets)) => sockets.push(socket),
                None => by_address.push((address, vec![socket])),
            }
        }
        let bound = by_address.into_iter().map(|(address, sockets)| {
            let passed = BoundListener::passed(address, vec![(address, sockets)]);
            passed.map_err(|source| StartError::Bind { address, source })
        });
        Ok(PassedSockets(bound.collect::<Result<_, _>>()?))
    }

    /// Those of traffic, and that of the admin listener.
    ///
    /// # Errors
    /// When one is on an address where nothing of the plan listens.
    pub(super) fn of_plan(
        self,
        plan: &Plan,
    ) -> Result<(Vec<BoundListener>, Option<BoundListener>), StartError> {
        let of_admin = |bound: &BoundListener| {
            let admin = plan.admin.as_ref();
            admin.is_some_and(|admin| admin.bind == bound.address())
        };
        let (mut admin, traffic): (Vec<_>, Vec<_>) = self.0.into_iter().partition(of_admin);
        for bound in &traffic {
            let address = bound.address();
            if plan.listeners.iter().all(|one| one.bind != address) {
                return Err(StartError::PassedInVain { address });
            }
        }
        Ok((traffic, admin.pop()))
    }
}

impl fmt::Debug for PassedSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.0.iter().map(BoundListener::address);
        f.debug_list().entries(addresses).finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::config::ConfigFile;

    fn listening() -> StdListener {
        StdListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn sockets_find_their_listener_by_address() {
        let (one, other) = (listening(), listening());
        let address = one.local_addr().unwrap();
        let text = json!({
            "listeners": [{ "bind": address, "cluster": "web" }],
            "clusters": [{ "name": "web", "endpoints": ["10.0.0.11:443"] }],
        });
        let plan = Plan::of_file(&ConfigFile::parse(&text.to_string(), "lb.json").unwrap());
        let again = one.try_clone().unwrap();
        let passed = PassedSockets::new(vec![one, again]).unwrap();
        let (traffic, admin) = passed.of_plan(&plan).unwrap();
        assert!(admin.is_none());
        assert_eq!(traffic.len(), 1, "two sockets, one listener");
        assert_eq!(traffic[0].copies().unwrap().len(), 2);

        let stray = other.local_addr().unwrap();
        let passed = PassedSockets::new(vec![other]).unwrap();
        let error = passed.of_plan(&plan).err().unwrap().to_string();
        assert!(error.contains(&format!("socket on {stray}")), "{error}");
        assert!(error.contains(&format!("ListenStream={stray}")), "{error}");
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let passed = PassedSockets::new(vec![socket.unwrap().into()]);
        let error = passed.unwrap_err().to_string();
        assert!(error.contains("does not listen"), "{error}");
    }
}

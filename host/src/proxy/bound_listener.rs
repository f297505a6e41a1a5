//! An address that is listened on, from one plan to the next.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Weak};

use crate::control::admission::Admission;
use crate::error::StartError;
use crate::proxy::socket_set::{Share, SocketSet, check_free, overlap};

/// An address and the sockets that listen there, one for each worker. They outlive
/// the workers, so that what the kernel has queued is not lost between two plans.
pub(crate) struct BoundListener {
    bind: SocketAddr,
    sockets: SocketSet,
    /// Sockets of an earlier plan whose address is part of this one: a client that the
    /// kernel has given to one of them would be lost with it, so they stay.
    within: Vec<SocketSet>,
    /// Shared by the plans that have this listener.
    succession: Arc<Succession>,
    /// Counts its connections, where it has a limit of its own.
    admission: Arc<Admission>,
}

/// Sockets of an address that a plan gave up, while workers still take the last clients
/// from them: the next plan may want them back.
pub(crate) struct LeftListener {
    address: SocketAddr,
    sockets: Vec<Weak<StdListener>>,
}

impl LeftListener {
    /// Whether there is any of them still.
    pub(crate) fn is_there(&self) -> bool {
        self.sockets.iter().any(|socket| socket.strong_count() > 0)
    }

    /// All of them; `None` when one has been closed by now.
    fn take_back(&self) -> Option<SocketSet> {
        let sockets = self.sockets.iter().map(Weak::upgrade);
        Some(SocketSet {
            address: self.address,
            sockets: sockets.collect::<Option<_>>()?,
        })
    }
}

/// Whether a listener goes on when its workers are retired.
#[derive(Debug, Default)]
pub(crate) struct Succession(AtomicBool);

impl Succession {
    /// Whether nobody else accepts from these sockets.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Acquire)
    }
}

impl BoundListener {
    /// Takes over the sockets that listen on an address already, or binds new ones,
    /// which listen at [`BoundListener::listen`]. `left`: what earlier plans gave up;
    /// `binds`: every address of the plan.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub(crate) fn open(
        bound: &[BoundListener],
        left: &[LeftListener],
        bind: SocketAddr,
        binds: &[SocketAddr],
        workers: usize,
    ) -> Result<BoundListener, StartError> {
        let known = |one: &&BoundListener| one.bind == bind || one.sockets.address == bind;
        if let Some(bound) = bound.iter().find(known) {
            let within = bound.within.iter();
            let within = within.filter(|set| !binds.contains(&set.address));
            return Ok(BoundListener {
                bind,
                sockets: bound.sockets.clone(),
                within: within.cloned().collect(),
                succession: Arc::clone(&bound.succession),
                admission: Arc::clone(&bound.admission),
            });
        }
        let sets = || bound.iter().flat_map(BoundListener::sets);
        let own = sets().find(|set| set.address == bind).cloned();
        let mut left = left.iter().filter(|left| left.address == bind);
        let sockets = match own.or_else(|| left.find_map(LeftListener::take_back)) {
            Some(set) => set,
            None if sets().any(|set| overlap(set.address, bind)) => {
                // Nobody else can have it: with our sockets there, no other could be
                // bound unless it shares ports as well, and is the same user's.
                SocketSet::bind(bind, workers)?
            }
            None => {
                check_free(bind)?;
                SocketSet::bind(bind, workers)?
            }
        };
        let within = sets().filter(|set| {
            set.address != bind
                && bind.ip().is_unspecified()
                && overlap(set.address, bind)
                && !binds.contains(&set.address)
        });
        Ok(BoundListener {
            bind,
            within: within.cloned().collect(),
            sockets,
            succession: Arc::default(),
            admission: Arc::default(),
        })
    }

    /// Sockets that listen already, which another process bound: those of the listener's
    /// own address first, then any of an earlier plan whose address is part of it.
    ///
    /// # Errors
    /// When there is none, or the system refuses an option that ours have.
    pub(crate) fn passed(
        bind: SocketAddr,
        sets: Vec<(SocketAddr, Vec<StdListener>)>,
    ) -> io::Result<BoundListener> {
        let mut sets =
            (sets.into_iter()).map(|(address, sockets)| SocketSet::passed(address, sockets));
        let nothing = || Err(io::Error::other("no socket was passed"));
        Ok(BoundListener {
            bind,
            sockets: sets.next().unwrap_or_else(nothing)?,
            within: sets.collect::<io::Result<_>>()?,
            succession: Arc::default(),
            admission: Arc::default(),
        })
    }

    /// Has the kernel queue clients; those that listen already go on.
    ///
    /// # Errors
    /// When somebody else has begun to listen there.
    pub(crate) fn listen(&self) -> Result<(), StartError> {
        self.sockets.listen().map_err(|source| StartError::Bind {
            address: self.bind,
            source,
        })
    }

    /// Says to the workers that have its sockets, before they are retired, that no
    /// others go on with them; unless one of the next plan's listeners does. What is
    /// left then for a while.
    pub(crate) fn end_unless_in(&self, next: &[BoundListener]) -> Option<LeftListener> {
        let goes_on = |one: &BoundListener| Arc::ptr_eq(&one.succession, &self.succession);
        if next.iter().any(goes_on) {
            return None;
        }
        self.succession.0.store(true, Release);
        Some(LeftListener {
            address: self.address(),
            sockets: self.sockets.sockets.iter().map(Arc::downgrade).collect(),
        })
    }

    /// Where it is configured to listen; port 0: anywhere.
    pub(crate) fn bind(&self) -> SocketAddr {
        self.bind
    }

    /// Where it listens; never port 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.sockets.address
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// All its sockets, once more, to be served by one thread.
    ///
    /// # Errors
    /// When the process may not open more files.
    pub(crate) fn copies(&self) -> Result<Vec<StdListener>, StartError> {
        let sockets = self.sets().flat_map(|set| &set.sockets);
        sockets
            .map(|socket| socket.try_clone())
            .collect::<io::Result<_>>()
            .map_err(|source| StartError::Bind {
                address: self.bind,
                source,
            })
    }

    pub(crate) fn succession(&self) -> &Arc<Succession> {
        &self.succession
    }

    /// The sockets of one of the workers.
    pub(crate) fn of_worker(&self, worker: Share) -> impl Iterator<Item = Arc<StdListener>> {
        self.sets().flat_map(move |set| set.of_worker(worker))
    }

    /// Its sockets by their address, its own first.
    pub(crate) fn by_address(&self) -> impl Iterator<Item = (SocketAddr, &[Arc<StdListener>])> {
        self.sets().map(|set| (set.address, set.sockets.as_slice()))
    }

    fn sets(&self) -> impl Iterator<Item = &SocketSet> {
        std::iter::once(&self.sockets).chain(&self.within)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_port_somebody_else_holds_is_refused_with_a_remedy() {
        let held = open(&[], "127.0.0.1:0");
        held.listen().unwrap();
        let address = held.address();
        let taken = BoundListener::open(&[], &[], address, &[address], 2);
        let error = taken.err().unwrap().to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("in use"),
            "{error}"
        );
    }

    #[test]
    fn both_families_can_listen_on_one_port() {
        let v6 = open(&[], "[::]:0");
        let v4 = open(&[], &format!("0.0.0.0:{}", v6.address().port()));
        v6.listen().unwrap();
        v4.listen().unwrap();
    }

    #[test]
    fn a_listener_moves_to_an_address_that_overlaps_and_back() {
        // A port that nobody else is given, on no address.
        let reserved = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let reserved = reserved.unwrap();
        reserved.set_reuse_address(true).unwrap();
        let any = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0));
        reserved.bind(&any.into()).unwrap();
        let address = reserved.local_addr().unwrap().as_socket().unwrap();
        let port = address.port();
        let narrow = open(&[], &format!("127.0.0.1:{port}"));
        narrow.listen().unwrap();
        let wide = open(&[narrow], &format!("0.0.0.0:{port}"));
        wide.listen().unwrap();
        let kept: Vec<_> = wide
            .sets()
            .map(|set| set.address.ip().to_string())
            .collect();
        assert_eq!(kept, ["0.0.0.0", "127.0.0.1"], "what has clients stays");
        let narrow = open(&[wide], &format!("127.0.0.1:{port}"));
        narrow.listen().unwrap();
        assert_eq!(narrow.sets().count(), 1);
        let other = open(&[narrow], &format!("127.0.0.2:{port}"));
        other.listen().unwrap();
    }

    #[test]
    fn a_listener_goes_on_where_it_has_its_port_already() {
        let chosen = open(&[], "127.0.0.1:0");
        let address = chosen.address();
        let succession = Arc::clone(chosen.succession());
        let chosen = [chosen];
        let named = open(&chosen, &address.to_string());
        assert!(chosen[0].end_unless_in(&[named]).is_none());
        assert!(!succession.is_over());
        assert!(chosen[0].end_unless_in(&[]).is_some());
        assert!(succession.is_over());
    }

    #[test]
    fn an_address_that_was_given_up_just_now_is_taken_back() {
        let first = open(&[], "127.0.0.1:0");
        first.listen().unwrap();
        let only = Share { worker: 0, of: 1 };
        let (address, worker) = (first.address(), first.of_worker(only).next());
        let left = first.end_unless_in(&[]).unwrap();
        drop(first);
        assert!(left.is_there(), "a worker has it");
        let again = BoundListener::open(&[], &[left], address, &[address], 1).unwrap();
        assert!(Arc::ptr_eq(&again.sockets.sockets[0], &worker.unwrap()));
        assert!(!again.succession().is_over(), "it has a life of its own");
    }

    fn open(bound: &[BoundListener], bind: &str) -> BoundListener {
        let bind = bind.parse().unwrap();
        BoundListener::open(bound, &[], bind, &[bind], 1).unwrap()
    }
}

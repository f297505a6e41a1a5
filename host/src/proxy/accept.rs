//! The accept loop, of whatever listener and for whatever is done with its clients.

use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, warn};

use crate::caught_panic::CaughtPanic;
use crate::net::local_resources;

/// What becomes of a listener's clients.
pub(crate) trait Clients<C> {
    /// What a client holds while it is served.
    type Place;

    /// Waits until one more may be served.
    async fn admit(&mut self) -> Self::Place;

    /// A place for a client that can't wait, since no more are accepted; `None`: there
    /// is no room at all.
    fn admit_last(&mut self) -> Option<Self::Place>;

    /// Serves a client in a task of its own.
    fn serve(&mut self, client: C, source: SocketAddr, place: Self::Place);

    /// Counts an accept that failed.
    fn failed(&mut self) {}
}

/// Hands over connections.
pub(crate) trait Accept {
    type Client;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Client, SocketAddr)>>;
}

impl Accept for TcpListener {
    type Client = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        TcpListener::poll_accept(self, cx)
    }
}

/// As [`accept_until`], and goes on after a panic: what the kernel has queued meanwhile
/// is accepted then.
pub(crate) async fn keep_accepting<L: Accept>(
    end: impl Future<Output = ()>,
    listener: &L,
    name: impl Display,
    clients: &mut impl Clients<L::Client>,
) {
    let mut end = pin!(end);
    let mut is_over = false;
    // A panic may follow the end, which is then asked for once more.
    let mut end = poll_fn(|cx| {
        is_over = is_over || end.as_mut().poll(cx).is_ready();
        match is_over {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    loop {
        let accepted = {
            let accepting = pin!(accept_until(&mut end, listener, &name, clients));
            CaughtPanic::catch_async(accepting).await
        };
        let Err(panic) = accepted else { return };
        error!(%panic, listener = %name, "accepting panicked; it goes on in {BACKOFF:?}");
        tokio::select! {
            biased;
            () = &mut end => return,
            () = sleep(BACKOFF) => {}
        }
    }
}

/// Accepts until `end`. At a limit one client waits here for its place, the others in
/// the kernel; a place is asked for only by who has a client for it. An error of one
/// client costs nobody else anything; while the process lacks something, as file
/// descriptors, it tries again every so often.
pub(crate) async fn accept_until<L: Accept>(
    end: impl Future<Output = ()>,
    listener: &L,
    name: impl Display,
    clients: &mut impl Clients<L::Client>,
) {
    let mut end = pin!(end);
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut end => return,
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
        };
        match accepted {
            Ok((client, source)) => {
                let place = tokio::select! {
                    biased;
                    place = clients.admit() => Some(place),
                    () = &mut end => None,
                };
                if let Some(place) = place {
                    clients.serve(client, source, place);
                    continue;
                }
                if let Some(place) = clients.admit_last() {
                    clients.serve(client, source, place);
                }
                return;
            }
            Err(error) => {
                clients.failed();
                if !local_resources::are_lacking(&error) {
                    debug!(%error, listener = %name, "a client went away before it was accepted");
                    continue;
                }
                if warned.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
                    warned = Some(Instant::now());
                    let remedy = local_resources::remedy(&error);
                    warn!(%error, listener = %name, "can't accept; clients wait until it goes on; {remedy}");
                }
                tokio::select! {
                    biased;
                    () = &mut end => return,
                    () = sleep(BACKOFF) => {}
                }
            }
        }
    }
}

/// Accepts what the kernel has ready, and waits for no more.
pub(crate) async fn accept_ready<L: Accept>(listener: &L, clients: &mut impl Clients<L::Client>) {
    // A task that has used up its budget would find nothing more ready.
    let ready = || {
        unconstrained(poll_fn(|cx| {
            Poll::Ready(match listener.poll_accept(cx) {
                Poll::Ready(accepted) => accepted.ok(),
                Poll::Pending => None,
            })
        }))
    };
    while let Some(place) = clients.admit_last() {
        match ready().await {
            Some((client, source)) => clients.serve(client, source, place),
            None => return,
        }
    }
}

/// Between two warnings that it can't.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);
/// Before another try when the process can't accept.
const BACKOFF: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use rustix::io::Errno;
    use tokio::time::Instant;

    use super::*;

    /// A listener that hands over what a test has put there, then nothing.
    struct Script(RefCell<VecDeque<Result<u32, Errno>>>);

    impl Script {
        fn new<const N: usize>(accepts: [Result<u32, Errno>; N]) -> Script {
            Script(RefCell::new(accepts.into()))
        }
    }

    impl Accept for Script {
        type Client = u32;

        fn poll_accept(&self, _: &mut Context<'_>) -> Poll<io::Result<(u32, SocketAddr)>> {
            match self.0.borrow_mut().pop_front() {
                Some(Ok(client)) => Poll::Ready(Ok((client, SocketAddr::from(([0; 4], 1))))),
                Some(Err(error)) => Poll::Ready(Err(error.into())),
                None => Poll::Pending,
            }
        }
    }

    /// Who was served, and when; room for a few.
    struct Served {
        began: Instant,
        clients: Vec<(u32, u128)>,
        failures: usize,
        room: usize,
        /// And for those that can't wait.
        last_room: usize,
    }

    impl Served {
        fn new() -> Served {
            Served {
                began: Instant::now(),
                clients: Vec::new(),
                failures: 0,
                room: usize::MAX,
                last_room: usize::MAX,
            }
        }
    }

    impl Clients<u32> for Served {
        type Place = ();

        async fn admit(&mut self) {
            if self.clients.len() >= self.room {
                std::future::pending().await
            }
        }

        fn admit_last(&mut self) -> Option<()> {
            (self.clients.len() < self.last_room).then_some(())
        }

        fn serve(&mut self, client: u32, _: SocketAddr, (): ()) {
            self.clients
                .push((client, self.began.elapsed().as_millis()));
        }

        fn failed(&mut self) {
            self.failures += 1;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_process_backs_off_and_one_of_a_client_does_not() {
        let cases = [
            ("a client that is gone", Errno::CONNABORTED, 0),
            ("no file descriptor in the process", Errno::MFILE, 100),
            ("no file descriptor in the system", Errno::NFILE, 100),
            ("no buffers", Errno::NOBUFS, 100),
            ("no memory", Errno::NOMEM, 100),
        ];
        for (why, error, pause) in cases {
            let listener = Script::new([Ok(1), Err(error), Err(error), Ok(2), Err(error), Ok(3)]);
            let mut served = Served::new();
            let end = sleep(Duration::from_secs(10));
            accept_until(end, &listener, "test", &mut served).await;
            let expected = [(1, 0), (2, 2 * pause), (3, 3 * pause)];
            assert_eq!(served.clients, expected, "{why}: who was served, and when");
            assert_eq!(served.failures, 3, "{why}: failures counted");
        }
    }

    /// Panics over its first client.
    struct Panicking(Served);

    impl Clients<u32> for Panicking {
        type Place = ();

        async fn admit(&mut self) {}

        fn admit_last(&mut self) -> Option<()> {
            None
        }

        fn serve(&mut self, client: u32, source: SocketAddr, place: ()) {
            assert_ne!(client, 1, "a panic");
            self.0.serve(client, source, place);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_panic_the_next_clients_are_accepted() {
        let listener = Script::new([Ok(1), Ok(2), Ok(3)]);
        let mut clients = Panicking(Served::new());
        let end = sleep(Duration::from_secs(10));
        keep_accepting(end, &listener, "test", &mut clients).await;
        assert_eq!(clients.0.clients, [(2, 100), (3, 100)]);
    }

    #[tokio::test]
    async fn at_the_end_all_are_served_that_the_kernel_has_accepted() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        // More than a task is given before it must yield.
        for _ in 0..300 {
            clients.push(std::net::TcpStream::connect(address).unwrap());
        }
        // By then it knows that there are some.
        let _first = listener.accept().await.unwrap();
        let mut served = Counted(0);
        accept_ready(&listener, &mut served).await;
        assert_eq!(served.0, 299);
    }

    struct Counted(usize);

    impl Clients<TcpStream> for Counted {
        type Place = ();

        async fn admit(&mut self) {}

        fn admit_last(&mut self) -> Option<()> {
            Some(())
        }

        fn serve(&mut self, _: TcpStream, _: SocketAddr, (): ()) {
            self.0 += 1;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_does_not_wait_for_the_process_to_recover() {
        let began = Instant::now();
        let listener = Script::new([Err(Errno::MFILE), Ok(1)]);
        let mut served = Served::new();
        let end = sleep(Duration::from_millis(30));
        accept_until(end, &listener, "test", &mut served).await;
        assert_eq!(began.elapsed(), Duration::from_millis(30));
        assert_eq!(served.clients, [], "the end came first");
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_one_client_waits_here_and_the_others_in_the_kernel() {
        let cases = [
            (
                3,
                vec![(1, 0), (2, 0), (3, 1000)],
                "served when no more come",
            ),
            (2, vec![(1, 0), (2, 0)], "given up: there is no room at all"),
        ];
        for (last_room, expected, why) in cases {
            let listener = Script::new([Ok(1), Ok(2), Ok(3), Ok(4)]);
            let mut served = Served::new();
            (served.room, served.last_room) = (2, last_room);
            let end = sleep(Duration::from_secs(1));
            accept_until(end, &listener, "test", &mut served).await;
            assert_eq!(served.clients, expected, "the third is {why}");
            assert_eq!(listener.0.borrow().len(), 1, "the fourth is still queued");
            accept_ready(&listener, &mut served).await;
            assert_eq!(served.clients, expected, "no room for the fourth");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_those_the_kernel_has_accepted_are_served_without_waiting() {
        let listener = Script::new([Ok(1), Ok(2)]);
        let mut served = Served::new();
        let polls = Cell::new(0);
        let end = poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::Ready(())
        });
        accept_until(end, &listener, "test", &mut served).await;
        assert_eq!(served.clients, [], "the end counts before a client");
        accept_ready(&listener, &mut served).await;
        assert_eq!(served.clients, [(1, 0), (2, 0)]);
        assert_eq!(polls.get(), 1);
    }
}

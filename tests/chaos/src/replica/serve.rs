//! The process of a stand-in: `chaos replica`.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::Socket;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use super::fault::Fault;
use super::http::{Answerer, Arrived, Request};
use super::listener;

/// A stand-in replica. Standard input is a socket: `fault NAME`, `certificate FILE` and
/// `open` come from there, and each line is answered there, `open` with the number of
/// clients' requests that are being answered.
#[derive(Args)]
pub(crate) struct Serve {
    /// Its name, for the header `x-replica`.
    #[arg(long)]
    name: String,
    /// Where it serves HTTP.
    #[arg(long)]
    plain: SocketAddr,
    /// Where it serves HTTPS.
    #[arg(long)]
    tls: SocketAddr,
    /// A PEM file with its certificate and key.
    #[arg(long)]
    certificate: PathBuf,
}

/// Serves until it is killed, or after SIGTERM until its connections are served.
///
/// # Errors
/// When it can't listen, or its certificate can't be read.
pub(crate) fn serve(arguments: Serve) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(run(arguments)))
}

async fn run(arguments: Serve) -> Result<()> {
    let state = Rc::new(State {
        name: arguments.name,
        fault: Cell::default(),
        changed: Notify::new(),
        acceptor: RefCell::new(acceptor(&arguments.certificate)?),
        fillers: RefCell::default(),
        open: Cell::new(0),
        clients: Cell::new(0),
        closed: Notify::new(),
        arrived: Arrived::default(),
    });
    let plain = Rc::new(listener::listen(arguments.plain)?);
    let tls = Rc::new(listener::listen(arguments.tls)?);
    let accepting = [
        tokio::task::spawn_local(accept(plain.clone(), Rc::clone(&state), Wire::Plain)),
        tokio::task::spawn_local(accept(tls.clone(), Rc::clone(&state), Wire::Tls)),
    ];
    let control = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    control.set_nonblocking(true)?;
    let (from, mut to) = UnixStream::from_std(control)?.into_split();
    to.write_all(b"ready\n").await?;
    let mut ended = signal(SignalKind::terminate())?;
    let mut lines = BufReader::new(from).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => {
                    let answer = match state.command(&line, [&plain, &tls]).await {
                        Ok(answer) => answer,
                        Err(error) => format!("error: {error:#}"),
                    };
                    to.write_all(format!("{answer}\n").as_bytes()).await?;
                }
                None => return Ok(()),
            },
            _ = ended.recv() => break,
        }
    }
    for task in accepting {
        task.abort();
        let _ = task.await;
    }
    drop((plain, tls));
    while state.open.get() > 0 {
        state.closed.notified().await;
    }
    Ok(())
}

struct State {
    name: String,
    fault: Cell<Fault>,
    changed: Notify,
    acceptor: RefCell<TlsAcceptor>,
    fillers: RefCell<Vec<Socket>>,
    /// Connections, probes too.
    open: Cell<usize>,
    /// Requests of clients that are being answered.
    clients: Cell<usize>,
    closed: Notify,
    arrived: Arrived,
}

impl State {
    fn answerer(&self) -> Answerer<'_> {
        Answerer {
            name: &self.name,
            fault: self.fault.get(),
            arrived: &self.arrived,
        }
    }

    async fn command(&self, line: &str, listeners: [&TcpListener; 2]) -> Result<String> {
        let (what, argument) = line.split_once(' ').unwrap_or((line, ""));
        match what {
            "fault" => {
                let fault = argument.parse()?;
                self.fault.set(fault);
                self.changed.notify_waiters();
                self.fillers.borrow_mut().clear();
                for one in listeners {
                    if fault == Fault::FullBacklog {
                        let fillers = listener::fill(one).await?;
                        self.fillers.borrow_mut().extend(fillers);
                    } else {
                        listener::empty(one)?;
                    }
                }
            }
            "certificate" => *self.acceptor.borrow_mut() = acceptor(Path::new(argument))?,
            "open" => return Ok(format!("done {}", self.clients.get())),
            _ => bail!("no such command: {line:?}"),
        }
        Ok("done".to_owned())
    }
}

#[derive(Clone, Copy)]
enum Wire {
    Plain,
    Tls,
}

async fn accept(listener: Rc<TcpListener>, state: Rc<State>, wire: Wire) {
    loop {
        let stream = tokio::select! {
            biased;
            () = state.changed.notified() => continue,
            accepted = listener.accept(), if state.fault.get() != Fault::FullBacklog => {
                match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        eprintln!("{} can't accept: {error}", state.name);
                        tokio::task::yield_now().await;
                        continue;
                    }
                }
            }
        };
        let state = Rc::clone(&state);
        tokio::task::spawn_local(async move {
            state.open.set(state.open.get() + 1);
            // A client that breaks off is the client's affair.
            let _ = connection(stream, &state, wire).await;
            state.open.set(state.open.get() - 1);
            state.closed.notify_one();
        });
    }
}

async fn connection(stream: TcpStream, state: &State, wire: Wire) -> io::Result<()> {
    match state.fault.get() {
        Fault::ResetsOnAccept => return stream.set_zero_linger(),
        Fault::ClosesOnAccept => return Ok(()),
        _ => {}
    }
    stream.set_nodelay(true)?;
    match wire {
        Wire::Plain => {
            let mut stream = stream;
            if requests(&mut stream, state).await? == End::Reset {
                stream.set_zero_linger()?;
            }
        }
        Wire::Tls => {
            let acceptor = state.acceptor.borrow().clone();
            let mut stream = acceptor.accept(stream).await?;
            if requests(&mut stream, state).await? == End::Reset {
                stream.get_ref().0.set_zero_linger()?;
            }
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

/// Answers one request; each answer ends its connection.
async fn requests<S>(stream: &mut S, state: &State) -> io::Result<End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(request) = Request::read(stream).await? else {
        return Ok(End::Close);
    };
    match (state.fault.get(), request.is_probe()) {
        (Fault::ResetsRequests, false) => return Ok(End::Reset),
        (Fault::ClosesRequests, false) => return Ok(End::Close),
        (Fault::HangsPing, true) => std::future::pending().await,
        (_, true) => request.answer(stream, state.answerer()).await?,
        (_, false) => {
            state.clients.set(state.clients.get() + 1);
            let answered = request.answer(stream, state.answerer()).await;
            state.clients.set(state.clients.get() - 1);
            answered?;
        }
    }
    stream.shutdown().await?;
    Ok(End::Close)
}

fn acceptor(pem: &Path) -> Result<TlsAcceptor> {
    let what = || format!("reading {}", pem.display());
    let certificate = CertificateDer::from_pem_file(pem).with_context(what)?;
    let key = PrivateKeyDer::from_pem_file(pem).with_context(what)?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::{Client, Outcome, Request as Asked};

    fn replica() -> Rc<State> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
        Rc::new(State {
            name: "r1".to_owned(),
            fault: Cell::default(),
            changed: Notify::new(),
            acceptor: RefCell::new(TlsAcceptor::from(Arc::new(config))),
            fillers: RefCell::default(),
            open: Cell::new(0),
            clients: Cell::new(0),
            closed: Notify::new(),
            arrived: Arrived::default(),
        })
    }

    #[tokio::test]
    async fn a_client_gets_what_it_asks_for() {
        let test = async {
            let at = "127.0.0.1:0".parse().unwrap();
            let listener = Rc::new(listener::listen(at).unwrap());
            let client = Client {
                target: listener.local_addr().unwrap(),
                tls: None,
                patience: Duration::from_secs(5),
            };
            let accepting = tokio::task::spawn_local(accept(listener, replica(), Wire::Plain));
            for request in [
                Asked::Get(100_000),
                Asked::Slow(10_000, 1),
                Asked::Post(100_000),
                Asked::Early(100_000, 1_000),
                Asked::Exchange(300_000),
                Asked::EndedFirst(300_000),
            ] {
                let outcome = client.ask(request, 4).await.outcome;
                assert_eq!(outcome, Outcome::Ok, "{request:?}");
            }
            accepting.abort();
        };
        LocalSet::new().run_until(test).await;
    }
}

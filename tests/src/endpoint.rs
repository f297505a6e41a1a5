//! A loopback address that is ours for the whole story, whether or not anybody
//! listens there.

use std::future::Future;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::eventually::eventually;

/// An address with a reserved port, open or closed.
pub(crate) struct Endpoint {
    address: SocketAddr,
    /// Bound and never listening: nobody else gets the port while it is closed.
    _reserved: Socket,
    listening: Mutex<Option<Listening>>,
    sessions: Arc<Mutex<JoinSet<()>>>,
    serve: Serve,
    /// The listener of a black hole, and what fills its queue.
    hole: Mutex<Vec<Socket>>,
}

struct Listening {
    accepts: JoinHandle<()>,
    socket: Socket,
}

/// Carries on one accepted connection.
pub(crate) type Serve =
    Arc<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Endpoint {
    /// A closed endpoint on a free port: connections are refused.
    pub(crate) fn new(serve: Serve) -> Self {
        let reserved = socket((Ipv4Addr::LOCALHOST, 0).into());
        Self {
            address: reserved.local_addr().unwrap().as_socket().unwrap(),
            _reserved: reserved,
            listening: Mutex::default(),
            sessions: Arc::default(),
            serve,
            hole: Mutex::default(),
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to listen, unless it does already.
    pub(crate) fn open(&self) {
        if self.listening.lock().unwrap().is_some() {
            return;
        }
        let hole = std::mem::take(&mut *self.hole.lock().unwrap());
        if let Some(listener) = hole.first() {
            stop_listening(listener);
        }
        drop(hole);
        let socket = socket(self.address);
        socket.listen(1024).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(socket.try_clone().unwrap().into()).unwrap();
        let (serve, sessions) = (self.serve.clone(), self.sessions.clone());
        let accepts = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                sessions.lock().unwrap().spawn(serve(stream));
            }
        });
        *self.listening.lock().unwrap() = Some(Listening { accepts, socket });
    }

    /// Stops to listen: from now on connections are refused. Accepted ones go on.
    pub(crate) async fn close(&self) {
        let listening = self.listening.lock().unwrap().take();
        if let Some(Listening { accepts, socket }) = listening {
            accepts.abort();
            let _ = accepts.await;
            stop_listening(&socket);
        }
    }

    /// Cuts what was accepted.
    pub(crate) async fn cut(&self) {
        let mut sessions = std::mem::take(&mut *self.sessions.lock().unwrap());
        sessions.shutdown().await;
    }

    /// Listens with a full queue and accepts nothing: the kernel drops each SYN,
    /// so that a connect attempt hangs as if the machine were gone.
    pub(crate) async fn black_hole(&self) {
        self.close().await;
        let listener = socket(self.address);
        listener.listen(0).unwrap();
        let mut kept = vec![listener];
        eventually(
            std::time::Duration::from_secs(10),
            "a full accept queue",
            async || {
                let stream = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                stream.set_nonblocking(true).unwrap();
                let _ = stream.connect(&self.address.into());
                kept.push(stream);
                // A connect that gets through on loopback takes microseconds.
                let probe = TcpStream::connect(self.address);
                match timeout(std::time::Duration::from_millis(100), probe).await {
                    Err(_) => Ok(()),
                    Ok(Ok(stream)) => {
                        kept.push(Socket::from(stream.into_std().unwrap()));
                        Err("a connection was accepted".to_owned())
                    }
                    Ok(Err(error)) => Err(error.to_string()),
                }
            },
        )
        .await;
        *self.hole.lock().unwrap() = kept;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(Listening { accepts, .. }) = self.listening.lock().unwrap().take() {
            accepts.abort();
        }
    }
}

/// A bound socket that can share its port with a listener to come.
fn socket(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// Has a listener refuse connections, and give up its port to the next. Closing it is
/// not enough: a process that another test starts just now has a copy of it until it
/// has run `exec`, with which the kernel goes on accepting.
fn stop_listening(listener: &Socket) {
    listener.shutdown(Shutdown::Both).unwrap();
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    use super::Endpoint;

    #[tokio::test]
    async fn an_endpoint_opens_closes_and_opens_again_on_its_port() {
        let endpoint = Endpoint::new(Arc::new(|mut stream| {
            Box::pin(async move { stream.write_all(b"hello").await.unwrap() })
        }));
        for _ in 0..3 {
            let refused = TcpStream::connect(endpoint.address()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            endpoint.open();
            TcpStream::connect(endpoint.address()).await.unwrap();
            endpoint.close().await;
        }
    }

    #[tokio::test]
    async fn a_black_hole_neither_accepts_nor_refuses_and_can_open_again() {
        let endpoint = Endpoint::new(Arc::new(|_| Box::pin(async {})));
        endpoint.black_hole().await;
        let attempt = TcpStream::connect(endpoint.address());
        let limit = std::time::Duration::from_millis(300);
        assert!(
            tokio::time::timeout(limit, attempt).await.is_err(),
            "it got through"
        );
        endpoint.open();
        TcpStream::connect(endpoint.address()).await.unwrap();
    }

    #[tokio::test]
    async fn an_endpoint_closes_at_once_though_processes_are_started() {
        let endpoint = Endpoint::new(Arc::new(|_| Box::pin(async {})));
        let done = Arc::new(AtomicBool::new(false));
        let starter = std::thread::spawn({
            let done = done.clone();
            move || {
                while !done.load(Ordering::Relaxed) {
                    let mut command = Command::new("true");
                    // SAFETY: nothing is done between fork and exec.
                    unsafe { command.pre_exec(|| Ok(())) };
                    command.spawn().unwrap().wait().unwrap();
                }
            }
        });
        for _ in 0..300 {
            endpoint.open();
            endpoint.close().await;
            let refused = TcpStream::connect(endpoint.address()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
        done.store(true, Ordering::Relaxed);
        starter.join().unwrap();
    }
}

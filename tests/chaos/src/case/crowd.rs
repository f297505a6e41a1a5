//! Clients that are not like others.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dtr_lb_tests::FQDN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections that say nothing. The kernel takes them for a balancer that accepts no
/// more, and a balancer may close them later: neither keeps one from being opened.
///
/// # Errors
/// When more than one in ten can't be opened.
pub(super) async fn connect(target: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    let mut spare = count / 10;
    for number in 1..=count {
        let last = match timeout(PATIENCE, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => {
                open.push(stream);
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not open after {PATIENCE:?}"),
        };
        ensure!(
            spare > 0,
            "only {} of {number} connections to {target} could be opened, {count} were wanted; the last: {last}",
            open.len(),
        );
        spare -= 1;
    }
    Ok(open)
}

/// Clients that ask for the status again and again, until this value ends.
pub(super) struct Flood {
    admin: SocketAddr,
    answered: Rc<Cell<u64>>,
    asking: JoinSet<()>,
}

impl Flood {
    /// Starts this many. To be called within a `LocalSet`.
    pub(super) fn start(admin: SocketAddr, count: usize) -> Self {
        let answered = Rc::<Cell<u64>>::default();
        let mut asking = JoinSet::new();
        for _ in 0..count {
            let answered = answered.clone();
            asking.spawn_local(async move {
                loop {
                    match ask(admin).await {
                        Ok(answer) if answer.starts_with(b"HTTP/1.1 200") => {
                            answered.set(answered.get() + 1);
                        }
                        _ => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                }
            });
        }
        Self {
            admin,
            answered,
            asking,
        }
    }

    /// Ends them, and says how many answers of 200 they had.
    ///
    /// # Errors
    /// When there were none: then this was no flood.
    pub(super) fn end(mut self) -> Result<u64> {
        self.asking.abort_all();
        let answered = self.answered.get();
        ensure!(answered > 0, "no /status was answered by {}", self.admin);
        Ok(answered)
    }
}

async fn ask(admin: SocketAddr) -> io::Result<Vec<u8>> {
    let request = format!("GET /status HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Not to the end of the stream, which Envoy keeps open for a second more.
    while !is_whole(&answer) {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

/// Whether an answer has as much of a body as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let mut lines = text.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    length.is_some_and(|length: usize| answer.len() >= head + 4 + length)
}

/// Clients that have asked for what is never answered, and ended their side.
///
/// # Errors
/// When one can't connect.
pub(super) async fn half_closed(
    target: SocketAddr,
    from: Ipv4Addr,
    count: usize,
) -> Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let mut stream = socket
            .connect(target)
            .await
            .context("a client that will vanish")?;
        let request = format!("GET /never HTTP/1.1\r\nHost: {FQDN}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.shutdown().await?;
        open.push(stream);
    }
    Ok(open)
}

const PATIENCE: Duration = Duration::from_millis(250);

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::{Flood, connect, is_whole};

    #[test]
    fn an_answer_is_whole_with_the_body_its_head_promises() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true),
            ("HTTP/1.1 200 OK\r\n\r\n{}", false),
        ];
        for (answer, expected) in cases {
            assert_eq!(is_whole(answer.as_bytes()), expected, "{answer:?}");
        }
    }

    fn refusing() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    #[tokio::test]
    async fn refused_connections_are_an_error() {
        let error = connect(refusing(), 20).await.unwrap_err().to_string();
        assert!(error.contains("only 0 of 3"), "{error}");
        // Nobody accepts: the queue is enough.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = connect(listener.local_addr().unwrap(), 20).await.unwrap();
        assert_eq!(open.len(), 20);
    }

    #[tokio::test]
    async fn a_flood_that_nobody_answers_is_an_error() {
        let test = async {
            let flood = Flood::start(refusing(), 2);
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(flood.end().is_err());

            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let flood = Flood::start(listener.local_addr().unwrap(), 1);
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.read_u8().await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                // Read to its end, so that it is closed and not reset.
                let mut rest = [0; 1024];
                let _ = stream.read(&mut rest).await;
            }
            // The third asks after it has counted the second.
            listener.accept().await.unwrap();
            assert_eq!(flood.end().unwrap(), 2);
        };
        LocalSet::new().run_until(test).await;
    }
}

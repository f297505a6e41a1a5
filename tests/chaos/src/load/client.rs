//! One connection of a client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtr_lb_tests::{FQDN, Noise};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::record::{Outcome, Record, Served};
use crate::replica::send_noise;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// This many bytes.
    Get(u64),
    /// This many bytes, read in pieces with this many milliseconds between them.
    Slow(u64, u64),
    /// That this many bytes arrive.
    Post(u64),
    /// This many bytes sent, and an answer of this many at once, though the replica
    /// never reads them.
    Early(u64, u64),
    /// This many bytes each way at the same time. The client ends its side when it has
    /// sent them; only after that the replica says what arrived, and ends its own.
    Exchange(u64),
    /// This many bytes each way. The client begins to send only when the replica has
    /// ended its side, and asks afterwards what arrived.
    EndedFirst(u64),
    /// Whether this many bytes of an earlier connection arrived.
    Arrived(u64),
}

impl Request {
    /// What the replica says of a body that arrived whole, after its noise.
    fn verdict(self) -> String {
        match self {
            Self::Post(length) | Self::Exchange(length) | Self::Arrived(length) => {
                format!("same {length}")
            }
            _ => String::new(),
        }
    }
}

/// A client, and where it connects.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) target: SocketAddr,
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) patience: Duration,
}

impl Client {
    /// Opens a connection, asks, and sees what comes.
    pub(crate) async fn ask(&self, request: Request, seed: u64) -> Record {
        let began = Instant::now();
        let mut first_byte = None;
        let asked = timeout(self.patience, self.try_ask(request, seed, &mut first_byte)).await;
        let served = first_byte.map_or(Served::Nothing, |_| Served::Something);
        let outcome = match asked {
            Ok(Ok(())) => Outcome::Ok,
            Ok(Err(error)) => Outcome::of(&error, served),
            Err(_) => Outcome::Timeout,
        };
        let first_byte = first_byte.map(|at| at - began);
        Record {
            began,
            first_byte,
            ended: Instant::now(),
            outcome,
        }
    }

    async fn try_ask(
        &self,
        request: Request,
        seed: u64,
        first_byte: &mut Option<Instant>,
    ) -> io::Result<()> {
        self.try_once(request, seed, first_byte).await?;
        let Request::EndedFirst(length) = request else {
            return Ok(());
        };
        let arrived = Request::Arrived(length);
        loop {
            match self.try_once(arrived, seed, first_byte).await {
                // Another replica, or it still reads.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    sleep(NEXT_TRY).await;
                }
                said => return said,
            }
        }
    }

    async fn try_once(
        &self,
        request: Request,
        seed: u64,
        first_byte: &mut Option<Instant>,
    ) -> io::Result<()> {
        let stream = self.connect().await?;
        let exchange = Exchange {
            request,
            seed,
            first_byte,
        };
        match &self.tls {
            None => exchange.run(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(FQDN).map_err(io::Error::other)?;
                exchange.run(tls.connect(name, stream).await?).await
            }
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Trusts this authority, so that what comes is what a stand-in sent.
pub(crate) fn tls_trusting(pem: &std::path::Path) -> anyhow::Result<TlsConnector> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(pem)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

struct Exchange<'a> {
    request: Request,
    seed: u64,
    first_byte: &'a mut Option<Instant>,
}

impl Exchange<'_> {
    async fn run(self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let seed = self.seed;
        let (path, sent, wanted) = match self.request {
            Request::Get(length) | Request::Slow(length, _) => {
                (format!("GET /noise/{seed}/{length}"), 0, length)
            }
            Request::Post(length) => (format!("POST /check/{seed}"), length, 0),
            Request::Early(sent, length) => (format!("POST /early/{seed}/{length}"), sent, length),
            Request::Exchange(length) => {
                (format!("POST /exchange/{seed}/{length}"), length, length)
            }
            Request::EndedFirst(length) => {
                let path = format!("POST /ended-first/{seed}/{length}");
                (path, length, length)
            }
            Request::Arrived(_) => (format!("GET /arrived/{seed}"), 0, 0),
        };
        let head = format!(
            "{path} HTTP/1.1\r\nHost: {FQDN}\r\nContent-Length: {sent}\r\nConnection: close\r\n\r\n"
        );
        // The answer to a GET needs no length of the request.
        let head = if sent == 0 {
            head.replace("Content-Length: 0\r\n", "")
        } else {
            head
        };
        let (mut from, mut to) = tokio::io::split(stream);
        let (request, first_byte) = (self.request, self.first_byte);
        if matches!(request, Request::EndedFirst(_)) {
            to.write_all(head.as_bytes()).await?;
            receive(&mut from, request, seed, wanted, first_byte).await?;
            send_noise(&mut to, seed + 1, sent).await?;
            return to.shutdown().await;
        }
        let send = async {
            to.write_all(head.as_bytes()).await?;
            let of = if matches!(request, Request::Exchange(_)) {
                seed + 1
            } else {
                seed
            };
            send_noise(&mut to, of, sent).await?;
            if matches!(request, Request::Exchange(_)) {
                to.shutdown().await?;
            }
            Ok::<(), io::Error>(())
        };
        let receive = receive(&mut from, request, seed, wanted, first_byte);
        tokio::pin!(send, receive);
        tokio::select! {
            biased;
            received = &mut receive => {
                // An early answer may end the connection while its request is sent;
                // of an exchange both ways must be whole.
                received?;
                if matches!(request, Request::Exchange(_)) {
                    send.await?;
                }
                Ok(())
            }
            sent = &mut send => {
                receive.await?;
                // What could not be sent may have been answered already.
                if matches!(request, Request::Exchange(_)) { sent } else { Ok(()) }
            }
        }
    }
}

async fn receive(
    from: &mut (impl AsyncRead + Unpin),
    request: Request,
    seed: u64,
    wanted: u64,
    first_byte: &mut Option<Instant>,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    let body = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let count = from.read_buf(&mut bytes).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        first_byte.get_or_insert_with(Instant::now);
    };
    let mut noise = Noise::new(seed);
    let mut chunk = bytes.split_off(body);
    let (mut left, verdict, mut said) = (wanted, request.verdict(), Vec::new());
    loop {
        let (of_noise, rest) = chunk.split_at(left.min(chunk.len() as u64) as usize);
        left -= of_noise.len() as u64;
        said.extend_from_slice(rest);
        if noise.first_difference(of_noise).is_some() || !verdict.as_bytes().starts_with(&said) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let whole = left == 0 && said.len() == verdict.len();
        chunk.clear();
        let room = match request {
            Request::Slow(_, pause) => {
                sleep(Duration::from_millis(pause)).await;
                SLOW_PIECE
            }
            _ => PIECE,
        };
        chunk.reserve(room);
        match (&mut *from).take(room as u64).read_buf(&mut chunk).await {
            Ok(0) if whole => return Ok(()),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            // The answer is whole; that its connection then breaks is how a replica
            // ends that does not want the rest of a request.
            Err(_) if whole && matches!(request, Request::Early(..)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

const PIECE: usize = 64 * 1024;
const NEXT_TRY: Duration = Duration::from_millis(20);
const SLOW_PIECE: usize = 4 * 1024;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{Client, Noise, Outcome, Request};

    /// What a client makes of an answer, and of how its connection ends.
    async fn outcome(request: Request, body: &[u8], end: End) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client {
            target: listener.local_addr().unwrap(),
            tls: None,
            patience: Duration::from_secs(5),
        };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            if let Request::Post(length) | Request::Exchange(length) = request {
                let mut body = vec![0; length as usize];
                stream.read_exact(&mut body).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 -\r\n\r\n").await.unwrap();
            stream.write_all(body).await.unwrap();
            if end == End::Reset {
                // A reset discards what the client has not read.
                tokio::time::sleep(Duration::from_millis(100)).await;
                stream.set_zero_linger().unwrap();
            }
        };
        let (record, ()) = tokio::join!(client.ask(request, 1), serve);
        record.outcome
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum End {
        Close,
        Reset,
    }

    fn noise_and(more: &str) -> Vec<u8> {
        let mut bytes = vec![0; 9];
        Noise::new(1).fill(&mut bytes);
        bytes.extend(more.as_bytes());
        bytes
    }

    #[tokio::test]
    async fn an_answer_is_whole_when_its_end_is_too() {
        let (get, early) = (Request::Get(9), Request::Early(0, 9));
        let (post, exchange) = (Request::Post(9), Request::Exchange(9));
        let cases = [
            (get, noise_and(""), End::Close, Outcome::Ok),
            (get, noise_and(""), End::Reset, Outcome::Reset),
            (get, noise_and("x"), End::Close, Outcome::WrongBytes),
            (early, noise_and(""), End::Reset, Outcome::Ok),
            (post, b"same 9".to_vec(), End::Close, Outcome::Ok),
            (post, b"same 9".to_vec(), End::Reset, Outcome::Reset),
            (post, b"same 8".to_vec(), End::Close, Outcome::WrongBytes),
            (exchange, noise_and("same 9"), End::Close, Outcome::Ok),
            (
                exchange,
                noise_and("same 8"),
                End::Close,
                Outcome::WrongBytes,
            ),
            (
                exchange,
                noise_and("different from 3 on"),
                End::Close,
                Outcome::WrongBytes,
            ),
            (exchange, noise_and(""), End::Close, Outcome::ClosedEarly),
        ];
        for (request, body, end, expected) in cases {
            let found = outcome(request, &body, end).await;
            assert_eq!(found, expected, "{request:?}: {}", body.escape_ascii());
        }
    }
}

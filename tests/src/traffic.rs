//! How a stand-in treats the connections of clients.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{Request, answer};
use crate::noise::Noise;

/// One way to treat a connection.
#[derive(Clone, Debug)]
pub enum Traffic {
    /// HTTP: 200 to everything, with the replica's name in `x-replica`.
    Answers,
    /// HTTP: 200 to everything, with this body.
    Delivers(&'static [u8]),
    /// As `Answers`, after a PROXY header, whose contents are in `x-proxy-header`; without one it
    /// closes.
    AnswersAfterHeader,
    /// Every byte back, and the end after the last.
    Echoes,
    /// Its name on a line, once a byte has come, then every byte back.
    NamesItself,
    /// Reads until the client's end, then says how many bytes it got.
    CountsToTheEnd,
    /// Reads until the client's end, and closes without a word.
    Swallows,
    /// Answers one request with the replica's name, then breaks off with a reset.
    AnswersAndResets,
    /// Breaks off with a reset at once.
    ResetsAtOnce,
    /// Reads a request and closes.
    ClosesUnserved,
    /// Says `bye` and ends its side, then counts what still comes.
    EndsFirst,
    /// Sends `bytes` bytes of noise and its end, and checks at the same time
    /// that the client sends the noise of the other seed.
    Noise {
        /// How many bytes are sent.
        bytes: usize,
        /// Of what is sent.
        seed: u64,
        /// Of what must arrive.
        wanted: u64,
    },
}

/// What a stand-in knows of its clients.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) requests: Vec<Request>,
    /// Bytes of each connection that went on after the replica's end.
    pub(crate) heard: Vec<u64>,
    /// Bytes of each stream of noise that ended, and where it first differed.
    pub(crate) noise: Vec<(usize, Option<usize>)>,
}

impl Traffic {
    /// Carries on one connection to its end.
    pub(crate) async fn serve(
        self,
        name: &str,
        mut stream: TcpStream,
        seen: &Arc<Mutex<Seen>>,
    ) -> io::Result<()> {
        seen.lock().unwrap().connections += 1;
        match self {
            Self::Answers => {
                while let Some(request) = Request::read(&mut stream).await? {
                    seen.lock().unwrap().requests.push(request);
                    let body = format!("{name} answers");
                    let headers = [("x-replica", name)];
                    stream
                        .write_all(&answer(200, &headers, body.as_bytes()))
                        .await?;
                }
            }
            Self::Delivers(body) => {
                while let Some(request) = Request::read(&mut stream).await? {
                    seen.lock().unwrap().requests.push(request);
                    stream.write_all(&answer(200, &[], body)).await?;
                }
            }
            Self::AnswersAfterHeader => {
                let Some(header) = proxy_header(&mut stream).await? else {
                    return Ok(());
                };
                while let Some(request) = Request::read(&mut stream).await? {
                    seen.lock().unwrap().requests.push(request);
                    let headers = [("x-replica", name), ("x-proxy-header", &header)];
                    stream.write_all(&answer(200, &headers, b"")).await?;
                }
            }
            Self::Echoes => {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await?;
            }
            Self::NamesItself => {
                stream.readable().await?;
                stream.write_all(format!("{name}\n").as_bytes()).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await?;
            }
            Self::CountsToTheEnd => {
                let bytes = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                stream
                    .write_all(format!("{bytes} bytes").as_bytes())
                    .await?;
            }
            Self::Swallows => {
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
            }
            Self::AnswersAndResets => {
                Request::read(&mut stream).await?;
                let headers = [("x-replica", name)];
                stream.write_all(&answer(200, &headers, b"")).await?;
                // What the client says next was not read when the connection goes.
                stream.readable().await?;
                return stream.set_zero_linger();
            }
            Self::ResetsAtOnce => return stream.set_zero_linger(),
            Self::ClosesUnserved => {
                Request::read(&mut stream).await?;
            }
            Self::EndsFirst => {
                stream.write_all(b"bye").await?;
                stream.shutdown().await?;
                let bytes = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                seen.lock().unwrap().heard.push(bytes);
                return Ok(());
            }
            Self::Noise {
                bytes,
                seed,
                wanted,
            } => {
                let (mut from, mut to) = stream.split();
                let send = send_noise(&mut to, bytes, seed);
                let (sent, received) = tokio::join!(send, receive_noise(&mut from, wanted));
                sent?;
                seen.lock().unwrap().noise.push(received?);
            }
        }
        stream.shutdown().await
    }
}

/// Reads a PROXY header, and gives it as version 1 would have it: `TCP4 SOURCE DESTINATION
/// PORT PORT`, or `UNKNOWN`. `None`: there is none.
async fn proxy_header(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut start = [0; 6];
    stream.read_exact(&mut start).await?;
    if start == *b"PROXY " {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await?);
        }
        return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
    }
    let mut rest = [0; 10];
    stream.read_exact(&mut rest).await?;
    if start != *b"\r\n\r\n\0\r" || !rest.starts_with(b"\nQUIT\n") {
        return Ok(None);
    }
    let mut addresses = vec![0; usize::from(u16::from_be_bytes([rest[8], rest[9]]))];
    stream.read_exact(&mut addresses).await?;
    Ok(match (rest[6], rest[7], &addresses[..]) {
        (0x21, 0x11, [a, b, c, d, w, x, y, z, ports @ ..]) => {
            let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
            let (from, to) = (port(0), port(2));
            Some(format!("TCP4 {a}.{b}.{c}.{d} {w}.{x}.{y}.{z} {from} {to}"))
        }
        (0x20, _, _) => Some("UNKNOWN".to_owned()),
        _ => None,
    })
}

/// Sends `bytes` bytes of noise and the end.
pub(crate) async fn send_noise(
    to: &mut (impl AsyncWriteExt + Unpin),
    bytes: usize,
    seed: u64,
) -> io::Result<()> {
    let mut noise = Noise::new(seed);
    let mut buffer = vec![0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let chunk = left.min(CHUNK);
        noise.fill(&mut buffer[..chunk]);
        to.write_all(&buffer[..chunk]).await?;
        left -= chunk;
    }
    to.shutdown().await
}

/// Reads to the end: how many bytes, and where they first differ from the noise.
pub(crate) async fn receive_noise(
    from: &mut (impl AsyncReadExt + Unpin),
    seed: u64,
) -> io::Result<(usize, Option<usize>)> {
    let mut noise = Noise::new(seed);
    let mut buffer = vec![0; CHUNK];
    let (mut bytes, mut difference) = (0, None);
    loop {
        let chunk = from.read(&mut buffer).await?;
        if chunk == 0 {
            return Ok((bytes, difference));
        }
        let first = noise.first_difference(&buffer[..chunk]);
        difference = difference.or(first.map(|at| bytes + at));
        bytes += chunk;
    }
}

const CHUNK: usize = 64 * 1024;

//! What a stand-in answers.
//!
//! | request | answer |
//! |---|---|
//! | `GET /_ping` | healthy, or as its fault says |
//! | `GET /noise/SEED/LENGTH` | this many bytes of that seed's noise |
//! | `POST /check/SEED` | whether the body was that seed's noise, and how long |
//! | `POST /early/SEED/LENGTH` | noise at once; the body is never read |
//! | `GET /never` | nothing, whatever the client does |
//! | `POST /exchange/SEED/LENGTH` | noise at once, while the body is read until the client ends its side; then whether the body was the next seed's noise |
//! | `POST /ended-first/SEED/LENGTH` | noise and the end of this side; only then the body is read |
//! | `GET /arrived/SEED` | of that seed's `ended-first`, whether the body was the next seed's noise |

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use dtr_lb_tests::Noise;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::fault::Fault;

/// Who answers.
pub(super) struct Answerer<'a> {
    pub(super) name: &'a str,
    pub(super) fault: Fault,
    pub(super) arrived: &'a Arrived,
}

/// What arrived after this side had ended, by its seed.
#[derive(Default)]
pub(super) struct Arrived(RefCell<HashMap<u64, String>>);

/// What was asked for.
pub(super) struct Request {
    path: String,
    length: u64,
    /// What came with the head.
    rest: Vec<u8>,
}

impl Request {
    /// The next of this connection; `None` at its end.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::with_capacity(1024);
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if bytes.len() > LONGEST_HEAD || stream.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        Ok(Some(Self {
            path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
            length: length.unwrap_or(0),
            rest: bytes.split_off(end + 4),
        }))
    }

    /// Whether a balancer asks, and not a client.
    pub(super) fn is_probe(&self) -> bool {
        self.path == "/_ping"
    }

    /// Answers it.
    pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        stream: &mut S,
        by: Answerer<'_>,
    ) -> io::Result<()> {
        let Answerer {
            name,
            fault,
            arrived,
        } = by;
        if let Fault::Slow(ms) = fault {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let path = std::mem::take(&mut self.path);
        let mut parts = path.split('/').skip(1);
        let what = parts.next().unwrap_or_default();
        let mut number = || {
            parts
                .next()
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let (seed, length) = (number(), number());
        match what {
            "_ping" if fault == Fault::Sick => {
                let body = br#"{"Error":"rethinkdb: no primary","Healthy":false}"#;
                stream
                    .write_all(&head(503, name, body.len() as u64))
                    .await?;
                stream.write_all(body).await
            }
            "_ping" => {
                let body = br#"{"Error":"","Healthy":true}"#;
                stream
                    .write_all(&head(200, name, body.len() as u64))
                    .await?;
                stream.write_all(body).await
            }
            "noise" => {
                stream.write_all(&head(200, name, length)).await?;
                send_noise(stream, seed, length).await
            }
            "check" => {
                let said = self.check(stream, seed).await?;
                stream
                    .write_all(&head(200, name, said.len() as u64))
                    .await?;
                stream.write_all(said.as_bytes()).await
            }
            "early" => {
                stream.write_all(&head(413, name, length)).await?;
                send_noise(stream, seed, length).await
            }
            "exchange" => {
                stream.write_all(&head(200, name, None)).await?;
                let (mut from, mut to) = tokio::io::split(stream);
                let send = send_noise(&mut to, seed, length);
                // The client's FIN has to get here while its download goes on.
                let receive = self.check_to_end(&mut from, seed + 1);
                let ((), said) = tokio::try_join!(send, receive)?;
                to.write_all(said.as_bytes()).await
            }
            "ended-first" => {
                stream.write_all(&head(200, name, length)).await?;
                send_noise(stream, seed, length).await?;
                stream.shutdown().await?;
                let said = self.check_to_end(stream, seed + 1).await;
                let said = said.unwrap_or_else(|error| error.to_string());
                arrived.0.borrow_mut().insert(seed, said);
                Ok(())
            }
            "arrived" => {
                let said = arrived.0.borrow_mut().remove(&seed);
                let status = if said.is_some() { 200 } else { 404 };
                let said = said.unwrap_or_default();
                stream
                    .write_all(&head(status, name, said.len() as u64))
                    .await?;
                stream.write_all(said.as_bytes()).await
            }
            "never" => std::future::pending().await,
            _ => stream.write_all(&head(404, name, 0)).await,
        }
    }

    /// As `check`, and the client ends its side after the body.
    async fn check_to_end(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        seed: u64,
    ) -> io::Result<String> {
        let said = self.check(from, seed).await?;
        match from.read(&mut [0]).await? {
            0 => Ok(said),
            _ => Ok("more than announced".to_owned()),
        }
    }

    /// Reads the body and compares it.
    async fn check(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        seed: u64,
    ) -> io::Result<String> {
        let mut noise = Noise::new(seed);
        let mut chunk = std::mem::take(&mut self.rest);
        let (mut bytes, mut difference) = (0, None);
        loop {
            let first = noise.first_difference(&chunk);
            difference = difference.or(first.map(|at| bytes + at as u64));
            bytes += chunk.len() as u64;
            if bytes >= self.length {
                break;
            }
            chunk.clear();
            chunk.reserve(CHUNK);
            if from.read_buf(&mut chunk).await? == 0 {
                break;
            }
        }
        Ok(match difference {
            None => format!("same {bytes}"),
            Some(at) => format!("different from {at} on"),
        })
    }
}

/// Sends this many bytes of a seed's noise.
pub(crate) async fn send_noise(
    to: &mut (impl AsyncWrite + Unpin),
    seed: u64,
    length: u64,
) -> io::Result<()> {
    let mut noise = Noise::new(seed);
    let mut buffer = vec![0; CHUNK.min(length as usize)];
    let mut left = length;
    while left > 0 {
        let size = left.min(CHUNK as u64);
        let chunk = &mut buffer[..size as usize];
        noise.fill(chunk);
        to.write_all(chunk).await?;
        left -= size;
    }
    Ok(())
}

/// Without a length the end of the connection ends the body.
fn head(status: u16, name: &str, length: impl Into<Option<u64>>) -> Vec<u8> {
    let length = length.into();
    let length = length.map_or_else(String::new, |length| {
        format!("content-length: {length}\r\n")
    });
    format!(
        "HTTP/1.1 {status} -\r\nx-replica: {name}\r\ncontent-type: application/json\r\n\
         {length}connection: close\r\n\r\n"
    )
    .into_bytes()
}

const LONGEST_HEAD: usize = 8 * 1024;
const CHUNK: usize = 64 * 1024;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::{Answerer, Arrived, Fault, Noise, Request};

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        Noise::new(seed).fill(&mut bytes);
        bytes
    }

    #[tokio::test]
    async fn an_exchange_ends_with_what_arrived_once_the_client_has_ended() {
        let mut wrong = noise(6, 9);
        wrong[3] ^= 1;
        let cases = [
            (noise(6, 9), "same 9"),
            (noise(6, 5), "same 5"),
            (noise(6, 10), "same 10"),
            (wrong, "different from 3 on"),
        ];
        for (upload, verdict) in cases {
            let (mut client, mut replica) = duplex(1024);
            let answer = async {
                let request = Request::read(&mut replica).await.unwrap().unwrap();
                let by = Answerer {
                    name: "r1",
                    fault: Fault::None,
                    arrived: &Arrived::default(),
                };
                request.answer(&mut replica, by).await.unwrap();
                drop(replica);
            };
            let ask = async {
                let head = b"POST /exchange/5/20 HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
                client.write_all(head).await.unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(&noise(5, 20)) {
                    answer.push(client.read_u8().await.unwrap());
                }
                client.write_all(&upload).await.unwrap();
                let early = timeout(Duration::from_millis(20), client.read_u8()).await;
                assert!(early.is_err(), "{verdict:?} before the client's end");
                client.shutdown().await.unwrap();
                let mut said = String::new();
                client.read_to_string(&mut said).await.unwrap();
                said
            };
            let (said, ()) = tokio::join!(ask, answer);
            assert!(said == verdict, "{said:?} and not {verdict:?}");
        }
    }
}

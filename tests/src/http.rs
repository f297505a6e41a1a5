//! As much HTTP/1.1 as a stand-in and a client need, kept as the bytes on the
//! wire: the stories ask whether a proxy changed any.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Such as `/_ping`.
    pub path: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// Every byte, head and body.
    pub bytes: Vec<u8>,
    /// The name the client asked for in its TLS handshake.
    pub sni: Option<String>,
}

impl Request {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }

    /// Reads the next request; `None` when the client has no more.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let Some(message) = Message::read(stream, Until::Length).await? else {
            return Ok(None);
        };
        let mut tokens = message.first_line.split(' ');
        let method = tokens.next().unwrap_or_default().to_owned();
        let path = tokens.next().unwrap_or_default().to_owned();
        Ok(Some(Self {
            method,
            path,
            headers: message.headers,
            bytes: message.bytes,
            sni: None,
        }))
    }
}

/// An answer as it arrived.
#[derive(Clone, Debug)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// What follows the head.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }

    /// Takes a whole answer apart; the body is all that follows the head.
    pub(crate) fn parse(answer: &str) -> Option<Self> {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Some(Self {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// When the connection ends or breaks before the answer does.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let message = Message::read(stream, Until::LengthOrEnd)
            .await?
            .ok_or_else(|| broken("closed without an answer"))?;
        let status = message
            .first_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| broken(format!("not a status line: {:?}", message.first_line)))?;
        Ok(Self {
            status,
            headers: message.headers,
            body: message.bytes[message.head..].to_vec(),
        })
    }
}

/// Bytes of an answer with this status and body, and more header lines.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {status} Because\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

struct Message {
    first_line: String,
    headers: Vec<(String, String)>,
    bytes: Vec<u8>,
    /// Bytes of the head, the empty line included.
    head: usize,
}

/// Where a body ends that has no length.
enum Until {
    Length,
    LengthOrEnd,
}

impl Message {
    async fn read(stream: &mut (impl AsyncRead + Unpin), until: Until) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        // Byte by byte: what follows belongs to the next message.
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await? == 0 {
                return match bytes.len() {
                    0 => Ok(None),
                    _ => Err(broken("closed within a head")),
                };
            }
            bytes.push(byte[0]);
        }
        let head = bytes.len();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = text.trim_end().split("\r\n");
        let first_line = lines.next().unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();

        if value(&headers, "transfer-encoding") == Some("chunked") {
            read_chunks(stream, &mut bytes).await?;
            return Ok(Some(Self {
                first_line,
                headers,
                bytes,
                head,
            }));
        }
        let length = value(&headers, "content-length").map(str::parse::<usize>);
        match (length, until) {
            (Some(length), _) => {
                let length = length.map_err(|_| broken("content-length is no number"))?;
                bytes.resize(head + length, 0);
                stream.read_exact(&mut bytes[head..]).await?;
            }
            (None, Until::Length) => {}
            (None, Until::LengthOrEnd) => {
                stream.read_to_end(&mut bytes).await?;
            }
        }
        Ok(Some(Self {
            first_line,
            headers,
            bytes,
            head,
        }))
    }
}

/// Appends what the chunks hold.
async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await?);
        }
        let digits = String::from_utf8_lossy(&line);
        let length = usize::from_str_radix(digits.trim(), 16)
            .map_err(|_| broken(format!("not a chunk's length: {digits:?}")))?;
        let start = bytes.len();
        bytes.resize(start + length + 2, 0);
        stream.read_exact(&mut bytes[start..]).await?;
        bytes.truncate(start + length);
        if length == 0 {
            return Ok(());
        }
    }
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(header, _)| header == name);
    found.map(|(_, value)| value.as_str())
}

fn broken(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, why.into())
}

//! A client's connection through the proxy.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::eventually::{within, within_limit};
use crate::http::Response;
use crate::standin::Standin;
use crate::traffic::{receive_noise, send_noise};
use crate::world::FQDN;

/// One open connection.
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens there.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let connection = Self::try_open(address).await;
        connection.unwrap_or_else(|error| panic!("connecting to {address}: {error}"))
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) async fn try_open(address: SocketAddr) -> io::Result<Self> {
        let connect = TcpStream::connect(address);
        let stream = within(format!("a connection to {address}"), connect).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Connects from this address.
    ///
    /// # Panics
    /// When nobody listens there.
    pub(crate) async fn open_from(client: Ipv4Addr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((client, 0).into()).unwrap();
        let connect = socket.connect(address);
        let stream = within(format!("a connection to {address}"), connect).await;
        let stream = stream.unwrap_or_else(|error| panic!("{client} to {address}: {error}"));
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Ends both ways with a reset.
    ///
    /// # Panics
    /// When the system does not let it.
    pub fn resets(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Wants the connection to break or to end by itself.
    ///
    /// # Panics
    /// When a byte comes.
    pub async fn is_cut(self) {
        self.is_refused().await;
    }

    /// Sends a request and reads the answer, or says what happened instead.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub async fn try_request(&mut self, request: &[u8]) -> io::Result<Response> {
        let exchange = async {
            self.stream.write_all(request).await?;
            Response::read(&mut self.stream).await
        };
        within("an answer", exchange).await
    }

    /// Sends a request and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn request(&mut self, request: &[u8]) -> Response {
        let answer = self.try_request(request).await;
        answer.unwrap_or_else(|error| panic!("no answer through the proxy: {error}"))
    }

    /// Asks who is there; the connection stays open.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn try_who(&mut self) -> io::Result<String> {
        let request = format!("GET /who HTTP/1.1\r\nHost: {FQDN}\r\n\r\n");
        let answer = self.try_request(request.as_bytes()).await?;
        Ok(answer.header("x-replica").unwrap_or("nobody").to_owned())
    }

    /// Asks who is there; the connection stays open.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn who(&mut self) -> String {
        let who = self.try_who().await;
        who.unwrap_or_else(|error| panic!("no answer through the proxy: {error}"))
    }

    /// Asks who is there, and wants it to be this one.
    ///
    /// # Panics
    /// When it is another, or nobody.
    pub async fn answered_by(&mut self, replica: &Standin) {
        assert_eq!(
            self.who().await,
            replica.name(),
            "the wrong replica answers"
        );
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn send(&mut self, bytes: &[u8]) {
        within("bytes to leave", self.stream.write_all(bytes))
            .await
            .unwrap();
    }

    /// Reads a line.
    ///
    /// # Panics
    /// When the connection ends before the line does.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = async {
            while line.last() != Some(&b'\n') {
                line.push(self.stream.read_u8().await?);
            }
            Ok::<_, io::Error>(())
        };
        let read = within("a line", read).await;
        read.unwrap_or_else(|error| panic!("no line through the proxy: {error}"));
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Sends bytes and wants the same back.
    ///
    /// # Panics
    /// When others come, or none.
    pub async fn echoes(&mut self, bytes: &[u8]) {
        self.send(bytes).await;
        self.receives(bytes).await;
    }

    /// Wants these bytes to come.
    ///
    /// # Panics
    /// When others come, or none.
    pub async fn receives(&mut self, bytes: &[u8]) {
        let mut back = vec![0; bytes.len()];
        let read = within("an echo", self.stream.read_exact(&mut back)).await;
        read.unwrap_or_else(|error| panic!("no echo through the proxy: {error}"));
        assert_eq!(back, bytes, "another echo");
    }

    /// Ends this side only.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Reads until the other side's end.
    ///
    /// # Panics
    /// When the connection breaks instead.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        within("the end of the answer", self.stream.read_to_end(&mut rest))
            .await
            .unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Sends and receives noise at the same time, each way to its end: how many
    /// bytes came, and where they first differed.
    ///
    /// # Panics
    /// When the connection breaks.
    pub async fn exchange_noise(
        &mut self,
        bytes: usize,
        seed: u64,
        wanted: u64,
    ) -> (usize, Option<usize>) {
        let (mut from, mut to) = self.stream.split();
        let exchange = async {
            tokio::join!(
                send_noise(&mut to, bytes, seed),
                receive_noise(&mut from, wanted)
            )
        };
        let (sent, received) = within_limit(NOISE_LIMIT, "noise both ways", exchange).await;
        sent.unwrap();
        received.unwrap()
    }

    /// Wants the proxy to close without a byte, unasked.
    ///
    /// # Panics
    /// When a byte comes.
    pub async fn is_refused(mut self) {
        let mut byte = [0];
        match within("the proxy to close", self.stream.read(&mut byte)).await {
            Ok(0) => {}
            Ok(_) => panic!("somebody answered, though no replica is usable"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

/// For tens of megabytes, made and compared by code that is not optimised.
const NOISE_LIMIT: Duration = Duration::from_secs(60);

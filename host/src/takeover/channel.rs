//! Messages with open files, over a Unix socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::error::TakeoverError;

/// One end of the socket. A message is its length, four bytes in network order, and
/// JSON; its files come with the first byte.
pub(crate) struct Channel(UnixStream);

/// A message and the files that came with it.
pub(crate) type Received<T> = (T, Vec<OwnedFd>);

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> Channel {
        Channel(stream)
    }

    /// # Errors
    /// When the other end is gone. With more files than [`MOST_FILES`], or a message
    /// longer than [`LONGEST`], nothing is sent.
    pub(crate) async fn send(
        &self,
        message: &impl Serialize,
        files: &[BorrowedFd<'_>],
    ) -> Result<(), TakeoverError> {
        let text = serde_json::to_vec(message).map_err(io::Error::from)?;
        let length = u32::try_from(text.len())
            .ok()
            .filter(|length| *length <= LONGEST);
        let Some(length) = length.filter(|_| files.len() <= MOST_FILES) else {
            let problem = format!("a message of {} bytes, {} files", text.len(), files.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem).into());
        };
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(text);
        let mut rest = bytes.as_slice();
        let mut files = files;
        while !rest.is_empty() {
            let sent = self
                .0
                .async_io(Interest::WRITABLE, || send(&self.0, rest, files));
            let sent = sent.await?;
            rest = rest.get(sent..).unwrap_or_default();
            files = &[];
        }
        Ok(())
    }

    /// # Errors
    /// When the other end is gone, or sends something else.
    pub(crate) async fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, TakeoverError> {
        let mut files = Vec::new();
        let mut length = [0; 4];
        self.fill(&mut length, &mut files).await?;
        let length = u32::from_be_bytes(length);
        if length > LONGEST {
            let problem = format!("one of {length} bytes; at most {LONGEST} are expected");
            return Err(TakeoverError::Malformed(problem));
        }
        let mut text = vec![0; length as usize];
        self.fill(&mut text, &mut files).await?;
        let message = serde_json::from_slice(&text);
        let message = message.map_err(|error| TakeoverError::Malformed(error.to_string()))?;
        Ok((message, files))
    }

    async fn fill(
        &self,
        mut bytes: &mut [u8],
        files: &mut Vec<OwnedFd>,
    ) -> Result<(), TakeoverError> {
        while !bytes.is_empty() {
            let received = self
                .0
                .async_io(Interest::READABLE, || receive(&self.0, bytes, files));
            let count = match received.await {
                Ok(0) => return Err(TakeoverError::Closed),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(TakeoverError::Closed);
                }
                received => received?,
            };
            bytes = bytes.get_mut(count..).unwrap_or_default();
            if files.len() > MOST_FILES {
                let problem = "more files than belong to a message".to_owned();
                return Err(TakeoverError::Malformed(problem));
            }
        }
        Ok(())
    }
}

fn send(socket: impl AsFd, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FILES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let slices = [IoSlice::new(bytes)];
    Ok(sendmsg(
        socket,
        &slices,
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?)
}

fn receive(socket: impl AsFd, bytes: &mut [u8], files: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_FILES))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut slices, &mut ancillary, flags)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            files.extend(more);
        }
    }
    Ok(received.bytes)
}

/// Longest message, bytes.
const LONGEST: u32 = 16 << 20;
/// Most files of a message; the kernel takes 253.
pub(crate) const MOST_FILES: usize = 128;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::TcpListener;

    use tokio::io::AsyncWriteExt;

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    #[tokio::test]
    async fn files_come_with_their_message() {
        let (one, other) = pair();
        let sockets: Vec<_> = (0..MOST_FILES)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let files: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        one.send(&"none", &[]).await.unwrap();
        one.send(&"all", &files).await.unwrap();
        one.send(&"one", &files[..1]).await.unwrap();
        for (expected, count) in [("none", 0), ("all", MOST_FILES), ("one", 1)] {
            let (message, received) = other.receive::<String>().await.unwrap();
            assert_eq!((message.as_str(), received.len()), (expected, count));
            for (sent, received) in sockets.iter().zip(received) {
                let received = TcpListener::from(received).local_addr().unwrap();
                assert_eq!(received, sent.local_addr().unwrap());
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let cases: [(&str, &[u8], &str); 5] = [
            (
                "too long",
                &[1, 0, 0, 1],
                "no message here: one of 16777217 bytes",
            ),
            ("no JSON", b"\0\0\0\x02{]", "no message here: "),
            (
                "another message",
                b"\0\0\0\x011",
                "no message here: invalid type",
            ),
            ("half a length", &[0, 0], "ended"),
            ("half a message", b"\0\0\0\x04\"a", "ended"),
        ];
        for (why, bytes, expected) in cases {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.write_all(bytes).await.unwrap();
            drop(one);
            let received = Channel::new(other).receive::<String>().await;
            let error = received.unwrap_err().to_string();
            assert!(error.contains(expected), "{why}: {error}");
        }
    }

    #[tokio::test]
    async fn a_message_of_many_parts_is_whole() {
        let (one, other) = pair();
        let long = "x".repeat(1 << 20);
        let sending = async { one.send(&long, &[]).await.unwrap() };
        let receiving = async { other.receive::<String>().await.unwrap().0 };
        let ((), received) = tokio::join!(sending, receiving);
        assert_eq!(received, long);
    }
}

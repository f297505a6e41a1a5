//! A local socket that takes each line as a datagram.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::output::{Loss, Output};

/// A local socket that takes a datagram for each line. It is connected to when there is
/// something to be written, and again when who listened has gone.
pub(super) struct Datagrams {
    path: PathBuf,
    /// What is sent for a line, which comes without its end.
    datagram: fn(&[u8]) -> Cow<'_, [u8]>,
    socket: Option<UnixDatagram>,
}

impl Datagrams {
    pub(super) fn new(path: impl Into<PathBuf>, datagram: fn(&[u8]) -> Cow<'_, [u8]>) -> Datagrams {
        Datagrams {
            path: path.into(),
            datagram,
            socket: None,
        }
    }

    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            match send_on(socket, datagram) {
                // Another may listen there by now.
                Err(error) if is_over(&error) => {}
                sent => return sent,
            }
        }
        self.socket = None;
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        send_on(self.socket.insert(socket), datagram)
    }
}

impl Output for Datagrams {
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let mut lost: Option<Loss> = None;
        let mut rest = lines;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line = &rest[..end];
            if let Err(cause) = self.send(&(self.datagram)(line)) {
                let is_too_long = cause.raw_os_error() == Some(libc::EMSGSIZE);
                let before = lost.take().map_or(0, |loss| loss.lines);
                let of = if is_too_long { &rest[..=end] } else { rest };
                let mut loss = Loss::of(of, cause);
                loss.lines += before;
                if !is_too_long {
                    // The others would fare no better.
                    return Err(loss);
                }
                lost = Some(loss);
            }
            rest = &rest[end + 1..];
        }
        lost.map_or(Ok(()), Err)
    }
}

/// Waits while the one who listens has as many datagrams as may wait.
fn send_on(socket: &UnixDatagram, datagram: &[u8]) -> io::Result<()> {
    loop {
        match socket.send(datagram) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            sent => return sent.map(|_| ()),
        }
    }
}

/// Whether nobody listens any more at the other end.
fn is_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::NotConnected
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1000];
        let size = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..size]).into_owned()
    }

    #[test]
    fn each_line_is_a_datagram_and_lines_nobody_listens_to_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let mut datagrams = Datagrams::new(&path, |line| Cow::Borrowed(line));
        let loss = datagrams.write_lines(b"one\ntwo\n").unwrap_err();
        assert_eq!(loss.lines, 2, "{}", loss.cause);
        assert_eq!(loss.cause.kind(), ErrorKind::NotFound);

        for life in ["first", "second"] {
            let socket = UnixDatagram::bind(&path).unwrap();
            let lines = format!("{life} one\n{life} two\n");
            datagrams.write_lines(lines.as_bytes()).unwrap();
            assert_eq!(received(&socket), format!("{life} one"));
            assert_eq!(received(&socket), format!("{life} two"));
            drop(socket);
            let loss = datagrams.write_lines(b"lost\n").unwrap_err();
            assert_eq!(loss.lines, 1, "{}", loss.cause);
            assert_eq!(loss.cause.kind(), ErrorKind::ConnectionRefused);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_line_too_long_for_a_datagram_is_lost_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut datagrams = Datagrams::new(&path, |line| Cow::Borrowed(line));
        let lines = format!("one\n{}\ntwo\n", "x".repeat(10_000_000));
        let loss = datagrams.write_lines(lines.as_bytes()).unwrap_err();
        assert_eq!(loss.lines, 1, "{}", loss.cause);
        assert_eq!(received(&socket), "one");
        assert_eq!(received(&socket), "two");
    }
}

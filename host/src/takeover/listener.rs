//! The Unix socket on which a process waits for its successor.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::channel::Channel;
use super::error::TakeoverError;
use super::message::FromPredecessor;

/// The Unix socket on which a process waits for its successor: of mode 0600, and for
/// processes of the same user and of root alone. Dropped, its file goes, unless a successor
/// has put its own there.
pub struct TakeoverListener {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// A process that wants to go on in this one's place.
pub struct Candidate {
    pub(crate) channel: Channel,
    /// Its number; `None`: it is in another PID namespace.
    pub(crate) process: Option<i32>,
}

impl Candidate {
    /// Its number; `None`: it is in another PID namespace.
    #[must_use]
    pub fn process(&self) -> Option<i32> {
        self.process
    }

    /// Sends it away.
    pub async fn refuse(self, problem: &str) {
        let problem = problem.to_owned();
        let refused = FromPredecessor::Refused { problem };
        // The end of the connection alone would do.
        let _ = timeout(REFUSAL, self.channel.send(&refused, &[])).await;
    }
}

impl TakeoverListener {
    /// Listens there, in place of a process that has ended or has just been taken over.
    ///
    /// # Errors
    /// When another process listens there, something else is there, or the system refuses.
    pub async fn bind(path: &Path) -> Result<TakeoverListener, TakeoverError> {
        let failed = |source| TakeoverError::Listen {
            path: path.to_owned(),
            source,
        };
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(TakeoverError::NoSocket {
                    path: path.to_owned(),
                });
            }
            Ok(_) if is_alive(path).await => {
                return Err(TakeoverError::Taken {
                    path: path.to_owned(),
                });
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(_) | Err(_) => {}
        }
        // Under another name first: it is never there with another mode, and takes the
        // place of what a process has left that is gone.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let first = PathBuf::from(name);
        let bound = || {
            // Of a process that had the same number, say.
            let _ = fs::remove_file(&first);
            let listener = UnixListener::bind(&first)?;
            fs::set_permissions(&first, Permissions::from_mode(0o600))?;
            let inode = fs::symlink_metadata(&first)?.ino();
            fs::rename(&first, path)?;
            Ok((listener, inode))
        };
        let (listener, inode) = bound().map_err(|error| {
            let _ = fs::remove_file(&first);
            failed(error)
        })?;
        Ok(TakeoverListener {
            listener,
            path: path.to_owned(),
            inode,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next process that may take over. Others are sent away, and logged.
    pub async fn next(&self) -> Candidate {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "no process can take over now");
                    sleep(BACKOFF).await;
                    continue;
                }
            };
            match Peer::Successor.check(&stream) {
                Ok(process) => {
                    return Candidate {
                        channel: Channel::new(stream),
                        process,
                    };
                }
                Err(error) => warn!("a takeover is refused: {error}"),
            }
        }
    }

    /// Sends every process away that comes, for as long as it is polled.
    pub async fn refuse_all(&self, problem: &str) -> Infallible {
        loop {
            let candidate = self.next().await;
            warn!("a takeover is refused: {problem}");
            candidate.refuse(problem).await;
        }
    }
}

impl Drop for TakeoverListener {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| there.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Which process of a takeover is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Predecessor,
    Successor,
}

impl Peer {
    /// The number of the process at the other end; `None`: it is in another PID namespace.
    ///
    /// # Errors
    /// It is of a user whose process may not be this peer.
    pub(crate) fn check(self, stream: &UnixStream) -> Result<Option<i32>, TakeoverError> {
        let peer = stream.peer_cred()?;
        let (user, own) = (peer.uid(), geteuid().as_raw());
        if !self.may_be_of(user, own) {
            return Err(TakeoverError::Stranger { user, own });
        }
        // The kernel gives 0 for a process that this one can't see.
        Ok(peer.pid().filter(|process| *process != 0))
    }

    /// Whether a process of this user may be the peer of one of `own`. Root may take over
    /// from anybody; of a predecessor of root it is for that one to ask who takes over.
    fn may_be_of(self, user: u32, own: u32) -> bool {
        user == own || user == ROOT || (own == ROOT && matches!(self, Peer::Predecessor))
    }
}

async fn is_alive(path: &Path) -> bool {
    match timeout(ALIVE, UnixStream::connect(path)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => !matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
        ),
        // Its queue is full, so there is one.
        Err(_) => true,
    }
}

const ROOT: u32 = 0;
/// How long a refusal may take to be sent.
const REFUSAL: Duration = Duration::from_secs(1);
/// How long it may take to connect to a process that is there.
const ALIVE: Duration = Duration::from_secs(1);
/// After an accept that failed.
const BACKOFF: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_any_more_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("takeover.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = TakeoverListener::bind(&path).await.unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        let error = TakeoverListener::bind(&path)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("another process listens on"), "{error}");
        assert!(error.contains("--takeover"), "{error}");
        drop(listener);
        assert!(!path.exists(), "it goes with its process");
    }

    #[test]
    fn only_the_same_user_and_root_may_take_over() {
        // The user at the other end, and that of this process.
        let cases = [
            (Peer::Successor, 1000, 1000, true),
            (Peer::Successor, ROOT, 1000, true),
            (Peer::Successor, 1001, 1000, false),
            (Peer::Successor, 1000, ROOT, false),
            (Peer::Predecessor, 1000, 1000, true),
            (Peer::Predecessor, 1000, ROOT, true),
            (Peer::Predecessor, 1001, 1000, false),
            (Peer::Predecessor, ROOT, 1000, true),
        ];
        for (peer, user, own, expected) in cases {
            let is_allowed = peer.may_be_of(user, own);
            assert_eq!(is_allowed, expected, "{peer:?} of {user}, seen by {own}");
        }
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.json");
        fs::write(&path, "precious").unwrap();
        let error = TakeoverListener::bind(&path)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("is no socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let nowhere = folder.path().join("missing/takeover.sock");
        let error = TakeoverListener::bind(&nowhere)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("may write to"), "{error}");
    }

    #[tokio::test]
    async fn the_file_of_a_successor_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("takeover.sock");
        let listener = TakeoverListener::bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _next = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
    }
}

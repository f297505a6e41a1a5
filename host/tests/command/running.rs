//! A program that runs, and what it is asked, each wait with a limit.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// A program that is ended whatever happens.
pub(crate) struct Running {
    child: Child,
    /// What it writes to the stream that is read.
    lines: Receiver<String>,
}

impl Running {
    /// Starts it and reads its log.
    pub(crate) fn logging(command: &mut Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take().unwrap();
        Running {
            child,
            lines: lines(log),
        }
    }

    /// Starts it and reads what it prints.
    pub(crate) fn printing(command: &mut Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let printed = child.stdout.take().unwrap();
        Running {
            child,
            lines: lines(printed),
        }
    }

    /// Starts it and reads nothing.
    pub(crate) fn silent(command: &mut Command) -> Running {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let (_, lines) = channel();
        Running { child, lines }
    }

    /// Where it listens on IPv4, as the system tells.
    pub(crate) fn listeners(&self) -> Vec<SocketAddr> {
        let process = format!("/proc/{}", self.child.id());
        let files = fs::read_dir(format!("{process}/fd")).unwrap();
        let files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let files: BTreeSet<_> = files.map(|link| link.display().to_string()).collect();
        let sockets = fs::read_to_string(format!("{process}/net/tcp")).unwrap();
        let listener = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let own = files.contains(&format!("socket:[{}]", fields.get(9)?));
            let (ip, port) = fields[1].split_once(':')?;
            // Of the machine's byte order, which is that of its addresses reversed.
            let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
            let port = u16::from_str_radix(port, 16).ok()?;
            (own && fields[3] == LISTENS).then_some(SocketAddr::from((ip, port)))
        };
        sockets.lines().filter_map(listener).collect()
    }

    /// The next line with this text; those before it are dropped.
    pub(crate) fn until(&self, text: &str) -> String {
        let mut seen = self.lines_until(text);
        seen.pop().unwrap()
    }

    /// All lines up to the next one with this text.
    pub(crate) fn lines_until(&self, text: &str) -> Vec<String> {
        let limit = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {text:?} within {LIMIT:?}, but {seen:#?}");
            };
            let found = line.contains(text);
            seen.push(line);
            if found {
                return seen;
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// How many files it may have open from now on.
    pub(crate) fn may_open(&self, files: Option<u64>) {
        let maximum = self.maximum();
        let limit = Rlimit {
            current: files.or(maximum),
            maximum,
        };
        prlimit(Some(self.pid()), Resource::Nofile, limit).unwrap();
    }

    /// How many files it may open from now on; it can't raise what holds for ever.
    pub(crate) fn may_open_more(&self, files: usize, forever: Forever) {
        let open = format!("/proc/{}/fd", self.child.id());
        let open: BTreeSet<u64> = (fs::read_dir(open).unwrap())
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        let mut free = (0..).filter(|number| !open.contains(number));
        let limit = free.nth(files);
        let maximum = match forever {
            Forever::Yes => limit,
            Forever::No => self.maximum(),
        };
        let limit = Rlimit {
            current: limit,
            maximum,
        };
        prlimit(Some(self.pid()), Resource::Nofile, limit).unwrap();
    }

    /// How many threads it has, and how many files open.
    pub(crate) fn costs(&self) -> (usize, usize) {
        let count = |what| {
            let entries = std::fs::read_dir(format!("/proc/{}/{what}", self.child.id()));
            entries.unwrap().count()
        };
        (count("task"), count("fd"))
    }

    /// Waits for its end: the exit code.
    pub(crate) fn ends(mut self) -> Option<i32> {
        let status = eventually("its end", || self.child.try_wait().unwrap());
        status.code()
    }

    /// How far it may raise its limit of open files; it has done so.
    fn maximum(&self) -> Option<u64> {
        let limits = format!("/proc/{}/limits", self.child.id());
        let limits = fs::read_to_string(limits).unwrap();
        let files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        files.unwrap().split_whitespace().nth(4)?.parse().ok()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a limit can be raised again.
pub(crate) enum Forever {
    Yes,
    No,
}

/// Looks again and again until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "waited {LIMIT:?} for {what}");
        thread::sleep(PAUSE);
    }
}

/// Connects; whatever is read from it must come in time.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// What a listener accepts.
pub(crate) fn accepted(listener: TcpListener) -> Receiver<TcpStream> {
    let (sender, accepted) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    accepted
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // The rest is read as well, so that the program never waits for us.
            let _ = sender.send(line);
        }
    });
    lines
}

/// Longest wait for anything; only a failing test waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// The state of a socket in the system's list.
const LISTENS: &str = "0A";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

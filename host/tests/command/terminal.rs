//! A program on a terminal.

use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::running::{LIMIT, eventually};

/// A program on a terminal of its own, ended whatever happens.
pub(crate) struct OnTerminal {
    child: Child,
    output: Receiver<Vec<u8>>,
    /// All that it has written.
    written: String,
}

impl OnTerminal {
    pub(crate) fn start(command: &mut Command) -> OnTerminal {
        let (ours, its) = open();
        command.stdin(its.try_clone().unwrap());
        command.stdout(its.try_clone().unwrap());
        command.stderr(its);
        let child = command.spawn().unwrap();
        // Or the terminal would not end with the program.
        command.stdin(Stdio::null());
        command.stdout(Stdio::null());
        command.stderr(Stdio::null());
        let mut screen = File::from(ours);
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error: nobody holds the other end any more.
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        OnTerminal {
            child,
            output,
            written: String::new(),
        }
    }

    /// Waits until it has written this.
    pub(crate) fn until(&mut self, text: &str) {
        let limit = Instant::now() + LIMIT;
        while !self.written.contains(text) {
            let left = limit.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("no {text:?} within {LIMIT:?}, but {:?}", self.written);
            };
            self.written.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: the exit code, and all that it has written.
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        let status = eventually("its end", || self.child.try_wait().unwrap());
        while let Ok(bytes) = self.output.recv_timeout(LIMIT) {
            self.written.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status.code(), std::mem::take(&mut self.written))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new terminal: our end, and the program's.
fn open() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut its) = (-1, -1);
    let none = std::ptr::null_mut;
    // SAFETY: both numbers are written to, and where there is a null pointer nothing is
    // read or written.
    let opened =
        unsafe { libc::openpty(&mut ours, &mut its, none(), none().cast(), none().cast()) };
    assert_eq!(
        opened,
        0,
        "no terminal: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: they were opened just now, and nobody else knows them.
    unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(its)) }
}

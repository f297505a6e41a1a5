//! One thread of a process, stopped while the others go on.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

/// A stopped thread; it goes on when this value ends.
pub(crate) struct StoppedThread {
    go_on: Option<Sender<()>>,
    tracer: Option<JoinHandle<()>>,
}

impl StoppedThread {
    /// Returns when it has stopped. SIGSTOP would stop its whole process, so it is
    /// traced.
    ///
    /// # Errors
    /// When the system does not let it, or the thread ends.
    pub(crate) fn stop(thread: i32) -> Result<Self> {
        let (go_on, until) = channel::<()>();
        let (say, stopped) = channel();
        // Who traces a thread is a thread, not a process.
        let tracer = std::thread::spawn(move || {
            let seized = trace(libc::PTRACE_SEIZE, thread)
                .and_then(|()| trace(libc::PTRACE_INTERRUPT, thread))
                .and_then(|()| wait(thread))
                .and_then(|()| check_stopped(thread));
            let holds = seized.is_ok();
            let _ = say.send(seized);
            if holds {
                let _ = until.recv();
                let _ = trace(libc::PTRACE_DETACH, thread);
            }
        });
        stopped.recv().context("the tracer ended")??;
        Ok(Self {
            go_on: Some(go_on),
            tracer: Some(tracer),
        })
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        drop(self.go_on.take());
        if let Some(tracer) = self.tracer.take() {
            let _ = tracer.join();
        }
    }
}

/// A thread of this process that carries traffic: the last whose name says so.
///
/// # Errors
/// When none does.
pub(crate) fn worker_of(process: i32, name: &str) -> Result<i32> {
    let folder = format!("/proc/{process}/task");
    let mut threads: Vec<i32> = std::fs::read_dir(&folder)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    threads.sort_unstable();
    let is_named = |thread: &&i32| {
        let comm = std::fs::read_to_string(format!("{folder}/{thread}/comm"));
        comm.is_ok_and(|comm| comm.contains(name))
    };
    // The last: the first of them may be the process's own main thread.
    let found = threads.iter().rev().find(is_named).copied();
    found.ok_or_else(|| anyhow!("no thread is called {name:?}"))
}

fn trace(request: libc::c_uint, thread: i32) -> io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: none of the three requests used here reads or writes our memory.
    match unsafe { libc::ptrace(request, thread, none, none) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits until a thread that is traced has stopped.
fn wait(thread: i32) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: the status is ours and outlives the call.
    match unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) } {
        -1 => Err(io::Error::last_os_error()),
        _ if libc::WIFSTOPPED(status) => Ok(()),
        _ => Err(io::Error::other(format!("thread {thread} ended"))),
    }
}

/// Fails if the kernel still runs it.
fn check_stopped(thread: i32) -> io::Result<()> {
    match state(thread)? {
        't' | 'T' => Ok(()),
        state => {
            let what = format!("thread {thread} is in state {state}, not stopped");
            Err(io::Error::other(what))
        }
    }
}

/// As in proc(5).
fn state(thread: i32) -> io::Result<char> {
    let stat = std::fs::read_to_string(format!("/proc/{thread}/stat"))?;
    // The name before it may hold anything, parentheses too.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{StoppedThread, state, worker_of};

    #[test]
    fn a_thread_is_stopped_until_it_is_let_go() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = child.id().cast_signed();
        let thread = worker_of(process, "").unwrap();
        let stopped = StoppedThread::stop(thread).unwrap();
        assert_eq!(state(thread).unwrap(), 't');
        drop(stopped);
        assert!(!matches!(state(thread).unwrap(), 't' | 'T'));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(StoppedThread::stop(thread).is_err(), "it has ended");
    }
}

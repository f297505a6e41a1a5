//! Writes the log from a thread of its own.
//!
//! A thread that logs appends to a queue and goes on, whatever becomes of what is written
//! to: a pipe that nobody reads, a closed one, a full disk, a socket where nobody listens.
//! What does not fit is dropped and counted, and one line says how much it was once lines
//! are taken again.

use std::io::{self, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::output::Output;

/// Takes lines and never waits for them to be written. Clones share a queue.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Queue>);

impl LogWriter {
    /// Starts the thread that writes to `out`. At most `limit` bytes wait for it. What is
    /// dropped is added to `dropped`. `report` may log.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        out: Box<dyn Output>,
        limit: usize,
        dropped: Arc<AtomicU64>,
        report: impl Fn(Report) + Send + 'static,
    ) -> io::Result<LogWriter> {
        let queue = Arc::new(Queue {
            limit,
            dropped,
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
        });
        let thread = thread::Builder::new().name("log".to_owned());
        let taking = Arc::clone(&queue);
        thread.spawn(move || taking.write_to(out, report))?;
        Ok(LogWriter(queue))
    }

    /// Writes a line as it stands.
    pub(super) fn print(&self, line: &str) {
        self.0.push(format!("{line}\n").as_bytes());
    }

    /// Whether both write to the same.
    pub(super) fn is(&self, other: &LogWriter) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Has a file opened anew, before anything else is written.
    pub(super) fn reopen(&self) {
        let mut state = self.0.lock();
        state.reopen = Reopen::Asked;
        state.thread = Thread::Busy;
        drop(state);
        self.0.work.notify_one();
    }

    /// Waits until everything is written, but no longer than this.
    pub(super) fn flush(&self, limit: Duration) {
        let mut state = self.0.lock();
        state.urgent = true;
        self.0.work.notify_one();
        let waiting = |state: &mut State| state.thread != Thread::Idle || !state.lines.is_empty();
        let waited = self.0.idle.wait_timeout_while(state, limit, waiting);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
    }
}

impl Write for LogWriter {
    /// Takes all of a line, or drops it; either way it is done with.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the thread has to tell.
#[derive(Debug)]
pub(super) enum Report {
    /// Nothing can be written, and lines are dropped.
    Failing(io::Error),
    /// After others were written: how many lines were dropped.
    Dropped(u64),
    /// A file could not be opened anew, and the one before it is written on.
    NotReopened(io::Error),
}

struct Queue {
    limit: usize,
    dropped: Arc<AtomicU64>,
    /// Held to copy a line or to swap two buffers, never while writing.
    state: Mutex<State>,
    /// Tells the thread to begin, or to hurry.
    work: Condvar,
    /// Tells who flushes that the thread has nothing to do.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Lines dropped that the log has not reported yet.
    unreported: u64,
    thread: Thread,
    /// Somebody flushes: no more lines are waited for.
    urgent: bool,
    reopen: Reopen,
}

/// Whether a file is to be opened anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reopen {
    #[default]
    No,
    Asked,
}

/// What the thread takes at a time.
struct Taken {
    /// Dropped lines that can be reported now.
    unreported: u64,
    reopen: Reopen,
}

/// What the thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Thread {
    /// It waits for a line.
    #[default]
    Idle,
    /// It will take what is there by itself.
    Busy,
}

/// How the last write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Writes,
    Fails,
}

impl Queue {
    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() + line.len() > self.limit {
            state.unreported += 1;
            drop(state);
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        state.lines.extend_from_slice(line);
        // One wake-up for all lines of a while, not one for each.
        let wakes = std::mem::replace(&mut state.thread, Thread::Busy) == Thread::Idle;
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    /// The thread's life; it ends with the process.
    fn write_to(&self, mut out: Box<dyn Output>, report: impl Fn(Report)) {
        let mut batch = Vec::new();
        let mut health = Health::Writes;
        let mut reported: Option<Instant> = None;
        loop {
            let taken = self.take(&mut batch, health);
            if taken.reopen == Reopen::Asked
                && let Err(error) = out.reopen()
            {
                report(Report::NotReopened(error));
            }
            if taken.unreported > 0 {
                // Behind the lines of this batch, ahead of all others.
                report(Report::Dropped(taken.unreported));
            }
            if batch.is_empty() {
                continue;
            }
            match out.write_lines(&batch) {
                Ok(()) => health = Health::Writes,
                Err(loss) => {
                    self.lose(loss.lines);
                    let is_new = health == Health::Writes
                        && reported.is_none_or(|then| then.elapsed() > REPORTED_AGAIN);
                    if is_new {
                        reported = Some(Instant::now());
                        report(Report::Failing(loss.cause));
                    }
                    health = Health::Fails;
                }
            }
            batch.clear();
            // What a burst took is given back.
            batch.shrink_to(KEPT);
        }
    }

    /// Waits for something to do, and takes the lines of a short while.
    fn take(&self, batch: &mut Vec<u8>, health: Health) -> Taken {
        let mut state = self.lock();
        let tells = |state: &State| state.unreported > 0 && health == Health::Writes;
        let nothing = |state: &mut State| state.lines.is_empty() && state.reopen == Reopen::No;
        if nothing(&mut state) && !tells(&state) {
            state.thread = Thread::Idle;
            self.idle.notify_all();
            let woken = self.work.wait_while(state, nothing);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.thread = Thread::Busy;
        let calm = |state: &mut State| !state.urgent;
        let gathered = self.work.wait_timeout_while(state, GATHER, calm);
        let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.lines, batch);
        Taken {
            unreported: match tells(&state) {
                true => std::mem::take(&mut state.unreported),
                false => 0,
            },
            reopen: std::mem::take(&mut state.reopen),
        }
    }

    /// Counts what could not be written.
    fn lose(&self, lines: u64) {
        self.dropped.fetch_add(lines, Relaxed);
        self.lock().unreported += lines;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long lines are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(10);
/// That nothing can be written is reported again after this long.
const REPORTED_AGAIN: Duration = Duration::from_secs(60);
/// Memory the queue keeps when it is empty.
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests;

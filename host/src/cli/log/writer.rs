//! Writes the log from a thread of its own.
//!
//! A thread that logs appends to a queue and goes on, whatever becomes of standard error:
//! a pipe that nobody reads, a closed one, a full disk. What does not fit is dropped
//! and counted, and one line says how much it was once lines are taken again.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Takes lines and never waits for them to be written. Clones share a queue.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Queue>);

impl LogWriter {
    /// Starts the thread that writes to `out`. At most `limit` bytes wait for it.
    /// After lines were dropped and others were written, it calls `say_dropped` with
    /// how many, which may log.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        limit: usize,
        say_dropped: impl Fn(u64) + Send + 'static,
    ) -> io::Result<LogWriter> {
        let queue = Arc::new(Queue {
            limit,
            dropped: Arc::default(),
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
        });
        let thread = thread::Builder::new().name("log".to_owned());
        let taking = Arc::clone(&queue);
        thread.spawn(move || taking.write_to(out, say_dropped))?;
        Ok(LogWriter(queue))
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> &Arc<AtomicU64> {
        &self.0.dropped
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
    fn write_to(&self, mut out: impl Write, say_dropped: impl Fn(u64)) {
        let mut batch = Vec::new();
        let mut health = Health::Writes;
        let mut within_line = false;
        loop {
            let unreported = self.take(&mut batch, health);
            if unreported > 0 {
                // Behind the lines of this batch, ahead of all others.
                say_dropped(unreported);
            }
            let ends_a_line = within_line && !batch.is_empty();
            if ends_a_line {
                batch.insert(0, b'\n');
            }
            let left = write_all(&mut out, &batch);
            let written = batch.len() - left;
            if written > 0 {
                within_line = batch[written - 1] != b'\n';
            }
            health = match left {
                0 => Health::Writes,
                _ => Health::Fails,
            };
            // What ends a part of a line is none that is lost.
            let own = usize::from(ends_a_line && written == 0);
            self.lose(&batch[written + own..]);
            batch.clear();
            // What a burst took is given back.
            batch.shrink_to(KEPT);
        }
    }

    /// Waits for lines, takes those of a short while, and how many were dropped
    /// that can be reported now.
    fn take(&self, batch: &mut Vec<u8>, health: Health) -> u64 {
        let mut state = self.lock();
        let tells = |state: &State| state.unreported > 0 && health == Health::Writes;
        if state.lines.is_empty() && !tells(&state) {
            state.thread = Thread::Idle;
            self.idle.notify_all();
            let nothing = |state: &mut State| state.lines.is_empty();
            let woken = self.work.wait_while(state, nothing);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.thread = Thread::Busy;
        let calm = |state: &mut State| !state.urgent;
        let gathered = self.work.wait_timeout_while(state, GATHER, calm);
        let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.lines, batch);
        match tells(&state) {
            true => std::mem::take(&mut state.unreported),
            false => 0,
        }
    }

    /// Counts what could not be written.
    fn lose(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.dropped.fetch_add(lines, Relaxed);
        self.lock().unreported += lines;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes as much as can be written: how many bytes are left.
fn write_all(out: &mut impl Write, bytes: &[u8]) -> usize {
    let mut left = bytes;
    while !left.is_empty() {
        match out.write(left) {
            Ok(0) => break,
            Ok(written) => left = &left[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    left.len()
}

/// How long lines are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(10);
/// Memory the queue keeps when it is empty.
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests;

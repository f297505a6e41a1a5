//! Processes the stories start.
//!
//! Between fork and exec a child holds a copy of every socket of the whole test
//! process. A listener closed meanwhile goes on accepting, in the kernel, until the
//! exec, and then resets what it accepted. So a story that closes a listener waits
//! until no process is half started.

use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

/// Starts a process.
///
/// # Errors
/// When it can't be run.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    // Returns after the exec: std waits for its outcome.
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Waits until no process is half started.
pub(crate) fn none_half_started() {
    drop(STARTING.lock().unwrap_or_else(PoisonError::into_inner));
}

static STARTING: Mutex<()> = Mutex::new(());

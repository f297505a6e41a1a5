//! How far a command is, on a terminal.

use std::io::{IsTerminal, Write};

use dtr_lb::survey::Progress;

/// How far it is, on a terminal.
pub(super) struct ShownProgress {
    what: &'static str,
    is_terminal: bool,
}

impl ShownProgress {
    /// Of what is done, such as `asking the replicas`.
    pub(super) fn new(what: &'static str) -> ShownProgress {
        ShownProgress {
            what,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn update(&mut self, progress: Progress) {
        let Progress { done, all } = progress;
        self.write(&format!("\r{ERASE}{}: {done} of {all} answers", self.what));
    }

    fn write(&self, text: &str) {
        if self.is_terminal {
            let mut err = std::io::stderr().lock();
            // Nobody misses what can't be shown.
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        }
    }
}

impl Drop for ShownProgress {
    fn drop(&mut self) {
        self.write(&format!("\r{ERASE}"));
    }
}

/// Erases the rest of a terminal's line (ECMA-48, EL).
const ERASE: &str = "\x1b[K";

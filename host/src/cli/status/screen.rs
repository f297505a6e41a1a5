//! A terminal's other screen, for what is shown live.

use std::io::{self, Write, stdout};

/// The terminal shows another screen, without a cursor and without wrapping lines, until
/// this is dropped.
pub(super) struct Screen(());

impl Screen {
    /// # Errors
    /// The terminal can't be written to.
    pub(super) fn enter() -> io::Result<Screen> {
        let screen = Screen(());
        screen.resume()?;
        Ok(screen)
    }

    /// Shows these lines in place of those before.
    ///
    /// # Errors
    /// The terminal can't be written to.
    pub(super) fn show(&self, lines: &[String]) -> io::Result<()> {
        // In one write, and without clearing first, or it would flicker.
        let mut frame = String::from(HOME);
        for (nth, line) in lines.iter().enumerate() {
            if nth > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            frame.push_str(CLEAR_LINE);
        }
        frame.push_str(CLEAR_BELOW);
        write(&frame)
    }

    /// Shows the first screen while the process is stopped.
    ///
    /// # Errors
    /// The terminal can't be written to.
    pub(super) fn suspend(&self) -> io::Result<()> {
        write(LEAVE)
    }

    /// Shows the other screen again.
    ///
    /// # Errors
    /// The terminal can't be written to.
    pub(super) fn resume(&self) -> io::Result<()> {
        write(ENTER)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = self.suspend();
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

// As in "XTerm Control Sequences": alternate screen, cursor, auto-wrap.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

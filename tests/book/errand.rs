//! What this program does in a process of its own.

use std::env;
use std::io;
use std::process::Command;

/// The errand that this process was started for; `None`: all tests.
pub(crate) fn of_this_process() -> Option<String> {
    env::var(ERRAND).ok()
}

/// This program, to be started for an errand: to play the page of this name, or
/// `probe:FOLDER`, `broken-filter:FILE` or `manifests:FILE`.
///
/// # Errors
/// When it has no path.
pub(crate) fn process(errand: &str) -> io::Result<Command> {
    let mut process = Command::new(env::current_exe()?);
    process.env(ERRAND, errand);
    Ok(process)
}

/// Scripts of the machine set it, too.
const ERRAND: &str = "BOOK_ERRAND";
/// The variable with the folder of a page's machine.
pub(crate) const FOLDER: &str = "BOOK_FOLDER";
/// The variable with the folder of compiled filters.
pub(crate) const COMPILED: &str = "BOOK_COMPILED";

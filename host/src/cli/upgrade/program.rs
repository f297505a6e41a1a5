//! This program, as it is on disk when it is started again.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::family::{MEMBER, is_init};

/// This program and its arguments.
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Where it is, found out before another file takes its place.
    pub(super) fn this() -> io::Result<Program> {
        let mut arguments = std::env::args_os();
        let called = arguments.next().map(PathBuf::from);
        // As it was called, where that is a path: behind a link there may be another program
        // by then.
        let called = called.filter(|path| path.components().count() > 1 && path.exists());
        Ok(Program {
            path: match called {
                Some(path) => path,
                None => std::env::current_exe()?,
            },
            arguments: arguments.collect(),
        })
    }

    /// Starts it with the same arguments, to take over from the process on this socket.
    pub(super) fn start(&self, socket: &Path) -> io::Result<Child> {
        let mut takeover = OsString::from(format!("{TAKEOVER}="));
        takeover.push(socket);
        let mut command = Command::new(&self.path);
        command
            .args(self.arguments.iter().filter(|one| !is_takeover(one)))
            .arg(takeover)
            // It is of this process, and systemd takes the new one's word as well.
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::null());
        if is_init() {
            // Signals are passed on to it and to what it starts, and to nothing else.
            command.process_group(0).env(MEMBER, "");
        }
        command.spawn()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

fn is_takeover(argument: &OsString) -> bool {
    let argument = argument.as_encoded_bytes();
    argument
        .strip_prefix(TAKEOVER.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
}

const TAKEOVER: &str = "--takeover";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_takeover_is_no_argument_of_the_next() {
        let cases = [
            ("--takeover", true),
            ("--takeover=/run/a.sock", true),
            ("--takeover-later", false),
            ("--config=--takeover", false),
        ];
        for (argument, expected) in cases {
            assert_eq!(is_takeover(&argument.into()), expected, "{argument}");
        }
    }
}

//! What it takes to play a page.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::ERRAND;
use crate::machine::Machine;

/// Why pages can't be played here; `None`: they can.
///
/// # Errors
/// When a program is missing and `BOOK_MUST_RUN` is set.
pub(crate) fn missing() -> Result<Option<String>> {
    let folders: Vec<PathBuf> = env::var_os("PATH")
        .map(|folders| env::split_paths(&folders).collect())
        .unwrap_or_default();
    let is_there = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
    let absent: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|name| !is_there(name))
        .collect();
    if !absent.is_empty() {
        let problem = format!("there is no {}; install it", absent.join(", no "));
        if env::var_os("BOOK_MUST_RUN").is_some() {
            bail!("{problem}");
        }
        return Ok(Some(problem));
    }
    let folder = tempfile::tempdir()?;
    let mut probe = Command::new(env::current_exe()?);
    probe.env(ERRAND, format!("probe:{}", folder.path().display()));
    let output = probe.output()?;
    // What a system forbids, nobody can install.
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Enters a machine, and that is all.
///
/// # Errors
/// When there can't be one.
pub(crate) fn probe(folder: &Path) -> Result<()> {
    Machine::enter(folder, &[]).map(drop)
}

/// What pages use, and their machine's scripts, besides what every system has.
const PROGRAMS: [&str; 11] = [
    "awk", "bash", "curl", "ip", "jq", "openssl", "setpriv", "setsid", "ss", "unshare", "xargs",
];

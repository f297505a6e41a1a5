//! What it takes to play a page.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::errand;
use crate::machine::{FORBIDDEN, Machine};
use crate::scene::Scene;

/// Why pages can't be played here; `None`: they can.
///
/// # Errors
/// When they can't, `BOOK_MUST_RUN` is set, and it is not that the system forbids it.
pub(crate) fn missing() -> Result<Option<String>> {
    let folders: Vec<PathBuf> = env::var_os("PATH")
        .map(|folders| env::split_paths(&folders).collect())
        .unwrap_or_default();
    let is_there = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
    let mut absent = PROGRAMS
        .into_iter()
        .filter(|name| !is_there(name))
        .peekable();
    if absent.peek().is_some() {
        let absent: Vec<&str> = absent.collect();
        return must_run(format!("install {}", absent.join(", ")));
    }
    let folder = tempfile::tempdir()?;
    let errand = format!("probe:{}", folder.path().display());
    let output = errand::process(&errand)?.output()?;
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.success() {
        true => Ok(None),
        false if error.starts_with(FORBIDDEN) => Ok(Some(error)),
        false => must_run(error),
    }
}

fn must_run(problem: String) -> Result<Option<String>> {
    if env::var_os("BOOK_MUST_RUN").is_some() {
        bail!("the pages' commands can't be run: {problem}");
    }
    Ok(Some(problem))
}

/// Enters a machine, and that is all.
///
/// # Errors
/// When there can't be one.
pub(crate) fn probe(folder: &Path) -> Result<()> {
    Machine::enter(folder, Scene::of("")).map(drop)
}

/// What pages use, and their machine's scripts, besides what every system has.
const PROGRAMS: [&str; 11] = [
    "awk", "bash", "curl", "ip", "jq", "openssl", "setpriv", "setsid", "ss", "unshare", "xargs",
];

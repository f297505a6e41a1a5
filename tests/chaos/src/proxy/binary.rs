//! Where the programs are, and which they are.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::Kind;

/// Where a kind's program is.
///
/// # Errors
/// When there is none, with what to do.
pub(super) fn binary(kind: Kind) -> Result<PathBuf> {
    match kind {
        Kind::Host => dtr_lb_tests::dtr_lb_binary(),
        Kind::Envoy => dtr_lb_tests::envoy_binary(),
        Kind::Haproxy | Kind::Nginx => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            // Where Debian has what only root runs.
            let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
            let mut files = folders.map(|folder| folder.join(kind.name()));
            files.find(|file| file.is_file()).with_context(|| {
                format!(
                    "there is no {} in PATH; install it to have it beside",
                    kind.name()
                )
            })
        }
    }
}

/// The `dtr-lb` that upgrades begin with, where that is another one.
pub(super) fn earlier_binary() -> Option<PathBuf> {
    std::env::var_os(EARLIER).map(PathBuf::from)
}

/// The variable that names it.
pub(crate) const EARLIER: &str = "DTR_LB_FROM";

/// The version a kind's program names.
///
/// # Errors
/// When there is none.
pub(crate) fn version(kind: Kind) -> Result<String> {
    let binary = binary(kind)?;
    let argument = match kind {
        Kind::Host | Kind::Envoy => "--version",
        Kind::Haproxy | Kind::Nginx => "-v",
    };
    let output = Command::new(&binary).arg(argument).output();
    let output = output.with_context(|| format!("can't run {}", binary.display()))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let dotted = |word: &&str| word.contains('.') && word.contains(|c: char| c.is_ascii_digit());
    let word = text.split([' ', '/', '\n']).find(dotted);
    Ok(word.unwrap_or("of unknown version").to_owned())
}

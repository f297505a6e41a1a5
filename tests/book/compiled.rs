//! The filter as `dtr-lb` compiles it at a start, for all machines: as a package that has
//! run before or an image has it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, anyhow, bail};
use dtr_lb_tests::dtr_lb_binary;
use tempfile::TempDir;

use crate::page::root;

/// A folder of compiled filters, which goes with this value.
#[derive(Default)]
pub(crate) struct Compiled(OnceLock<Result<TempDir, String>>);

impl Compiled {
    /// The folder; what is in it is compiled for the first who asks.
    ///
    /// # Errors
    /// When it can't be.
    pub(crate) fn folder(&self) -> Result<&Path> {
        let folder = self
            .0
            .get_or_init(|| compile().map_err(|error| format!("{error:#}")));
        folder
            .as_ref()
            .map(TempDir::path)
            .map_err(|error| anyhow!("{error}"))
    }
}

/// As packaging/image does.
fn compile() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let mut check = Command::new(dtr_lb_binary()?);
    check
        .args(["check", "--load", "--config"])
        .arg(root().join("packaging/lb.json"));
    let output = check.env("DTR_LB_CACHE_DIR", folder.path()).output()?;
    if !output.status.success() {
        bail!("{check:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    for file in fs::read_dir(folder.path())? {
        fs::set_permissions(file?.path(), Permissions::from_mode(0o644))?;
    }
    Ok(folder)
}

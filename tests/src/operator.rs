//! The program's own commands, as an operator runs them against a proxy.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::eventually::within;
use crate::proxy::Proxy;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub printed: String,
    /// What it said on standard error.
    pub error: String,
}

impl Proxy {
    /// Runs `dtr-lb` with these arguments against the admin listener.
    ///
    /// # Panics
    /// When it can't be run, or does not end.
    pub async fn operator(&self, arguments: &[&str]) -> Ran {
        let binary = dtr_lb_binary().unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(binary);
        command.args(arguments).arg("--admin");
        command.arg(self.addresses().admin.to_string());
        command
            .env_remove("DTR_LB_ADMIN_TOKEN")
            .env_remove("DTR_LB_LOG");
        command.kill_on_drop(true);
        let output = within("a command's end", command.output()).await;
        let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code(),
            printed: text(&output.stdout),
            error: text(&output.stderr),
        }
    }
}

/// The built `dtr-lb`: `$DTR_LB`, or the one beside this program.
///
/// # Errors
/// When there is none.
pub fn dtr_lb_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("DTR_LB") {
        return Ok(path.into());
    }
    let here = std::env::current_exe()?;
    let folder = here.parent().context("this program is in no folder")?;
    // Tests are in one of their own.
    let folder = match folder.ends_with("deps") {
        true => folder.parent().unwrap_or(folder),
        false => folder,
    };
    let path = folder.join("dtr-lb");
    if !path.is_file() {
        bail!(
            "there is no {}; build it with `cargo build --workspace --bins` (with `--release` \
             where this program was), or set DTR_LB to the path of the binary to test",
            path.display()
        );
    }
    Ok(path)
}

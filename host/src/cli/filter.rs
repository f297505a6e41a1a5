//! `dtr-lb filter`: the filter's module, as a file that a server hands to Envoys.

use std::path::PathBuf;

use clap::Args;
use dtr_lb::{FILTER, sha256};

use super::failure::Failure;
use super::output::{print, replace};

#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Filter {
    /// Writes the module, and prints its SHA-256 as `sha256sum` does: what Envoy's
    /// `code.remote` and Istio's `sha256` ask for.
    pub(super) fn run(self) -> Result<(), Failure> {
        replace(&self.out, FILTER, 0o644)?;
        print(format_args!("{}  {}", sha256(FILTER), self.out.display()))
    }
}

//! `dtr-lb filter`: the filter's module, as a file that a server hands to Envoys.

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use dtr_lb::{FILTER, filter_for_services, sha256};

use super::failure::Failure;
use super::output::{print, replace};

#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    module: Module,
}

/// Which module is written.
#[derive(Debug, Args)]
pub(crate) struct Module {
    /// For a configuration with several "services" in Envoy, which then hands the filter
    /// what clients send first.
    #[arg(long)]
    services: bool,
}

impl Module {
    pub(super) fn bytes(&self) -> Cow<'static, [u8]> {
        match self.services {
            false => FILTER.into(),
            true => filter_for_services().into(),
        }
    }
}

impl Filter {
    /// Writes the module, and prints its SHA-256 as `sha256sum` does: what Envoy's
    /// `code.remote` and Istio's `sha256` ask for.
    pub(super) fn run(self) -> Result<(), Failure> {
        let module = self.module.bytes();
        replace(&self.out, &module, 0o644)?;
        print(format_args!("{}  {}", sha256(&module), self.out.display()))
    }
}

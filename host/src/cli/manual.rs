//! `dtr-lb manual`: the manual pages, of the command and of each subcommand.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};

use super::failure::Failure;
use super::output::print;

#[derive(Debug, Args)]
pub(crate) struct Manual {
    /// Folder to write them to, dtr-lb.1 and others; made when missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Manual {
    /// Writes those of the whole command line.
    pub(super) fn run(self, command_line: Command) -> Result<(), Failure> {
        let folder = self.out.display();
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("the folder {folder} can't be made"))?;
        clap_mangen::generate_to(command_line, &self.out)
            .with_context(|| format!("the pages can't be written to {folder}"))?;
        print(format_args!("wrote the pages to {folder}"))
    }
}

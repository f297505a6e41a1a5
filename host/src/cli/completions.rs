//! `dtr-lb completions`: for a shell to complete commands and flags.

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::Failure;
use super::output::print;

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell that reads them.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Prints those of the whole command line.
    pub(super) fn run(self, mut command_line: Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command_line, "dtr-lb", &mut script);
        print(String::from_utf8_lossy(&script).trim_end())
    }
}

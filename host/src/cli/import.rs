//! `dtr-lb import`: a configuration made of another balancer's.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use dtr_lb::config::ConfigFile;
use dtr_lb::import::{
    FileSources, ForeignFormat, ImportError, ImportOptions, Imported, Note, NoteKind, OldFile,
    import,
};

use super::failure::Failure;
use super::output::{print, replace};

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// An nginx.conf, a haproxy.cfg, or the JSON of `aws elb describe-load-balancers`;
    /// "-" reads standard input.
    file: PathBuf,
    /// Whose configuration FILE is [default: what it looks like].
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,
    /// Where to write the configuration [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file that --out names when it exists.
    #[arg(long, requires = "out")]
    force: bool,
    /// The registry's name, as clients use it [default: what FILE says].
    #[arg(long, value_name = "NAME")]
    fqdn: Option<String>,
    /// How the health check verifies a replica's certificate: system, none, or a file
    /// of CA certificates (PEM) [default: what FILE says].
    #[arg(long, value_name = "HOW")]
    verify: Option<String>,
    /// Import only what has this name in FILE, or this port [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Where the instances of an AWS load balancer are, of which FILE has the ids.
    #[arg(long, value_name = "ID=ADDRESS", value_delimiter = ',', value_parser = instance)]
    instances: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Nginx,
    Haproxy,
    Elb,
}

impl Import {
    /// Writes the configuration, and to standard error what became of each line.
    pub(super) fn run(self) -> Result<(), Failure> {
        self.refuse_out()?;
        let file = match self.file.as_os_str() == "-" {
            true => OldFile::from_stdin(),
            false => OldFile::load(&self.file),
        };
        let file = file.map_err(usage)?;
        let format = match self.format {
            Some(Format::Nginx) => ForeignFormat::Nginx,
            Some(Format::Haproxy) => ForeignFormat::Haproxy,
            Some(Format::Elb) => ForeignFormat::AwsElb,
            None => file.format().map_err(usage)?,
        };
        report(format_args!("{}: {format}", file.name));
        if !self.instances.is_empty() && format != ForeignFormat::AwsElb {
            return Err(Failure::Usage(anyhow!(
                "--instances gives addresses to the instances of an AWS ELB, and {} is {format}; \
                 leave it out",
                file.name
            )));
        }
        let options = self.options()?;
        let imported = match import(&file, format, &options, &mut FileSources) {
            Ok(imported) => imported,
            Err(mut error) => {
                report_all(&std::mem::take(&mut error.notes));
                return Err(usage(error));
            }
        };
        report_all(&imported.notes);
        report(summary(&imported));
        // Where relative paths start.
        let name = self.out.as_deref().unwrap_or(Path::new("result"));
        ConfigFile::parse(&imported.config, &name.display().to_string())
            .context("nothing is written, since the result can't be used")
            .map_err(Failure::Usage)?;
        report("`dtr-lb check` accepts it");
        match &self.out {
            // There may be a token in it.
            Some(out) => Ok(replace(
                out,
                format!("{}\n", imported.config).as_bytes(),
                0o600,
            )?),
            None => print(imported.config),
        }
    }

    /// Nothing is replaced by mistake.
    fn refuse_out(&self) -> Result<(), Failure> {
        let Some(out) = &self.out else { return Ok(()) };
        match fs::symlink_metadata(out) {
            Ok(there) if !there.is_file() => Err(Failure::Usage(anyhow!(
                "--out {} is no file; give another name",
                out.display()
            ))),
            Ok(_) if !self.force => Err(Failure::Usage(anyhow!(
                "--out {} exists; add --force to replace it, or give another name",
                out.display()
            ))),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn options(&self) -> Result<ImportOptions, Failure> {
        let mut instances = BTreeMap::new();
        for (id, address) in &self.instances {
            if instances.insert(id.clone(), address.clone()).is_some() {
                let problem = anyhow!("--instances gives {id} two addresses; leave one of them");
                return Err(Failure::Usage(problem));
            }
        }
        Ok(ImportOptions {
            fqdn: self.fqdn.clone(),
            verify: self.verify.clone(),
            only: self.only.clone(),
            instances,
            token: token()?,
        })
    }
}

fn instance(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, address)) if !id.is_empty() && !address.is_empty() => {
            Ok((id.to_owned(), address.to_owned()))
        }
        _ => Err("expected an id and an address, such as i-0abc=10.0.0.11".to_owned()),
    }
}

/// 32 hexadecimal digits that nobody can guess.
fn token() -> Result<String, anyhow::Error> {
    let mut bytes = [0; 16];
    let provider = rustls::crypto::ring::default_provider();
    let filled = provider.secure_random.fill(&mut bytes);
    filled.map_err(|_| anyhow!("the system gives no random numbers for a token"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn summary(imported: &Imported) -> String {
    let count = |kind| {
        imported
            .notes
            .iter()
            .filter(|note| note.kind == kind)
            .count()
    };
    let plural = |count, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {more}"),
    };
    format!(
        "imported {} and {}: {} taken over, {} not, {}",
        plural(imported.listeners, "listener", "listeners"),
        plural(imported.replicas, "replica", "replicas"),
        count(NoteKind::Taken),
        count(NoteKind::NotTaken),
        plural(
            count(NoteKind::Advice),
            "piece of advice",
            "pieces of advice"
        ),
    )
}

fn report_all(notes: &[Note]) {
    for note in notes {
        report(note);
    }
}

/// A line on standard error. It waits for who reads it, where the log would drop lines.
fn report(line: impl std::fmt::Display) {
    // Without standard error there is nobody to report to.
    let _ = writeln!(io::stderr(), "{line}");
}

fn usage(error: ImportError) -> Failure {
    Failure::Usage(error.into())
}

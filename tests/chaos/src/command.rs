//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::case::{self, Manner};
use crate::event::{self, Event};
use crate::network::Network;
use crate::proxy::Kind;
use crate::replica::{self, Serve};
use crate::{report, run};

/// Makes faults under load on dtr-lb, Envoy, HAProxy and NGINX, and counts what
/// clients saw of them.
#[derive(Parser)]
#[command(name = "chaos", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    all: All,
}

#[derive(Args)]
struct All {
    /// Only these events [default: all]; names as in --list.
    #[arg(long = "event", value_name = "NAME", value_delimiter = ',')]
    events: Vec<String>,
    /// Only these balancers.
    #[arg(long = "proxy", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Only where the expectation is asserted by `cargo test`.
    #[arg(long)]
    proven: bool,
    /// Prints the events and what happens in each.
    #[arg(long)]
    list: bool,
    /// How long the load goes on for HAProxy and NGINX [default: as for the others].
    #[arg(long, value_name = "SECONDS")]
    peer_seconds: Option<f64>,
    /// How many cases run at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Writes the table here, in Markdown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Clone)]
pub(crate) struct How {
    /// A third of each pause, at 100 connections a second.
    #[arg(long)]
    pub(crate) short: bool,
    /// New connections a second [default: 500].
    #[arg(long)]
    pub(crate) rate: Option<u32>,
    /// How long the load goes on after the last act [default: 2].
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// This many short connections, with a look at memory twenty times meanwhile; no
    /// faults.
    #[arg(long, value_name = "CONNECTIONS")]
    pub(crate) soak: Option<u64>,
    /// Another dtr-lb, such as one of an earlier commit: it begins, and upgrades lead from
    /// it to this one's and back.
    #[arg(long, value_name = "BINARY")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// One event on one balancer; prints JSON.
    #[command(hide = true)]
    Case {
        #[arg(long)]
        event: String,
        #[arg(long)]
        proxy: Kind,
        #[command(flatten)]
        how: How,
    },
    /// A stand-in replica.
    #[command(hide = true)]
    Replica(Serve),
    /// Which network a case would have here; prints why none of its own, or nothing.
    #[command(hide = true)]
    Network,
}

/// Runs the command line. Exit code 1 when something did not hold, 2 when something
/// could not be run.
#[must_use]
pub fn main() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn execute(cli: Cli) -> Result<ExitCode> {
    match cli.part {
        Some(Part::Replica(serve)) => replica::serve(serve)?,
        Some(Part::Network) => {
            if let Network::Loopback(why) = Network::enter(Path::new("/etc/resolv.conf"))? {
                println!("{why}");
            }
        }
        Some(Part::Case { event, proxy, how }) => {
            let played = case::play(find(&event)?, proxy, how.manner())?;
            println!("{}", serde_json::to_string(&played)?);
        }
        None => return all(cli.all),
    }
    Ok(ExitCode::SUCCESS)
}

fn all(all: All) -> Result<ExitCode> {
    let events = if all.how.soak.is_some() {
        vec![&event::SOAK]
    } else if all.events.is_empty() {
        event::all()
    } else {
        all.events
            .iter()
            .map(|name| find(name))
            .collect::<Result<_>>()?
    };
    if all.list {
        for event in events {
            println!("{:24} {}", event.name, event.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let kinds = if all.kinds.is_empty() {
        Kind::ALL.to_vec()
    } else {
        all.kinds
    };
    let mut cases = run::cases(&events, &kinds);
    if all.proven {
        cases.retain(|case| case.event.proven.contains(&case.kind));
    }
    if cases.is_empty() {
        bail!("none of these events is played on these balancers");
    }
    let how = |kind: Kind| How {
        seconds: match kind {
            Kind::Haproxy | Kind::Nginx => all.peer_seconds.or(all.how.seconds),
            Kind::Host | Kind::Envoy => all.how.seconds,
        },
        ..all.how.clone()
    };
    let ended = run::run(cases, how, all.jobs, |ended| {
        let Some(out) = &all.out else { return Ok(()) };
        let table = report::markdown(ended, &all.how, &how(Kind::Nginx));
        std::fs::write(out, table).with_context(|| format!("writing {}", out.display()))
    })?;
    println!("\n{}", report::text(&ended));
    let holds = |ended: &run::Ended| ended.is_as_expected() && (!all.proven || ended.is_played());
    Ok(if ended.iter().all(holds) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn find(name: &str) -> Result<&'static Event> {
    let mut all = event::all().into_iter().chain([&event::SOAK]);
    all.find(|event| event.name == name)
        .with_context(|| format!("no event {name:?}; `chaos --list` names them"))
}

impl How {
    pub(crate) fn manner(&self) -> Manner {
        let (rate, rest, pace) = if self.short {
            (100, 0.5, 1.0 / 3.0)
        } else {
            (500, 2.0, 1.0)
        };
        Manner {
            rate: self.rate.unwrap_or(rate),
            rest: Duration::from_secs_f64(self.seconds.unwrap_or(rest)),
            pace,
            soak: self.soak,
        }
    }

    /// As arguments of a case.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.short {
            arguments.push("--short".to_owned());
        }
        arguments.extend(self.soak.map(|count| format!("--soak={count}")));
        arguments.extend(self.rate.map(|rate| format!("--rate={rate}")));
        arguments.extend(self.seconds.map(|seconds| format!("--seconds={seconds}")));
        arguments
    }
}

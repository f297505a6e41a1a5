//! The command line.

mod admin_address;
mod admin_client;
mod age;
mod balancer_status;
mod check;
mod cluster_status;
mod completions;
mod config_args;
mod demo;
mod discover;
mod doctor;
mod envoy;
mod failure;
mod filter;
mod health;
mod image;
mod import;
mod log;
mod manual;
mod module_cache;
mod order;
mod output;
mod panic_hook;
mod progress;
mod registry_args;
mod registry_login;
mod reload;
mod run;
mod schema;
mod service_choice;
mod service_manager;
mod sessions;
mod signal;
mod socket_activation;
mod start;
mod status;
mod table;
mod terminal;
mod upgrade;
mod watch;

use clap::{CommandFactory, Parser, Subcommand};

use dtr_lb::HostOptions;
use dtr_lb_filter::balance::order::Order;

use failure::Failure;
pub(crate) use log::Log;
use log::LogArgs;

/// Balances TCP connections over the replicas of a registry, and probes each
/// replica's /_ping.
#[derive(Debug, Parser)]
#[command(name = "dtr-lb", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Balance until SIGTERM, ctrl-C, SIGQUIT or SIGUSR1, then drain.
    Run(run::Run),
    /// Check a configuration; print a summary of it, or what is wrong.
    Check(check::Check),
    /// Make a configuration of another balancer's: NGINX, HAProxy or AWS ELB.
    Import(import::Import),
    /// Write an Envoy bootstrap of the configuration, and the filter beside it.
    Envoy(envoy::Envoy),
    /// Write the filter, and print its SHA-256.
    Filter(filter::Filter),
    /// Write the filter as images that Istio takes.
    Image(image::Image),
    /// Ask a running balancer for its health; exit code 0: healthy.
    Health(health::Health),
    /// Show what a running balancer says of its replicas; exit code 0: each port of each
    /// service has a usable one.
    Status(status::Status),
    /// Have a replica of a running balancer get no new connections; open ones go on.
    Drain(order::TakeOut),
    /// As drain, and without probes: the replica is being worked on.
    Maintenance(order::TakeOut),
    /// Have a replica get connections again, after drain or maintenance.
    Ready(order::Return),
    /// Show the open connections of a running balancer, or end those of a replica.
    Sessions(sessions::Sessions),
    /// Show what each replica of the registry says of all, and what does not agree.
    ClusterStatus(cluster_status::ClusterStatus),
    /// Look at all that can be found out, and say what is wrong and what to do.
    Doctor(doctor::Doctor),
    /// Print the JSON Schema of a configuration, for editors.
    Schema,
    /// Print what a shell needs to complete commands and flags.
    Completions(completions::Completions),
    /// Write the manual pages.
    Manual(manual::Manual),
    /// Balance three stand-in replicas on this machine, to try it out.
    Demo(demo::Demo),
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self, log: &mut Log) -> Result<(), Failure> {
        log.start(&self.log)?;
        let options = HostOptions {
            log_lines_dropped: log.dropped(),
            module_cache: module_cache::folder(|name| std::env::var_os(name)),
            ..HostOptions::default()
        };
        match self.command {
            Command::Run(run) => run.run(options, log),
            Command::Check(check) => check.run(log, options.module_cache),
            Command::Import(import) => import.run(),
            Command::Envoy(envoy) => envoy.run(),
            Command::Filter(filter) => filter.run(),
            Command::Image(image) => image.run(),
            Command::Health(health) => health.run(),
            Command::Status(status) => status.run(log),
            Command::Drain(drain) => drain.run(Order::Drain, log),
            Command::Maintenance(maintenance) => maintenance.run(Order::Maintenance, log),
            Command::Ready(ready) => ready.run(log),
            Command::Sessions(sessions) => sessions.run(log),
            Command::ClusterStatus(cluster_status) => cluster_status.run(log),
            Command::Doctor(doctor) => doctor.run(),
            Command::Schema => schema::run(),
            Command::Completions(completions) => completions.run(Cli::command()),
            Command::Manual(manual) => manual.run(Cli::command()),
            Command::Demo(demo) => demo.run(options, log),
        }
    }
}

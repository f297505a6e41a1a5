//! `dtr-lb envoy`: the same balancer, run by Envoy.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use dtr_lb::FILTER;
use dtr_lb::config::ConfigFile;
use dtr_lb::envoy::{BootstrapOptions, bootstrap};
use dtr_lb::plan::Plan;

use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::output::{print, replace};

#[derive(Debug, Args)]
pub(crate) struct Envoy {
    #[command(flatten)]
    config_args: ConfigArgs,
    /// Folder to write envoy.yaml and dtr_lb_filter.wasm to; made when missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Path of the filter on the machine that runs Envoy [default: in DIR].
    #[arg(long, value_name = "PATH")]
    wasm_path: Option<PathBuf>,
    /// Address of Envoy's own admin pages, /stats/prometheus among them.
    #[arg(long, value_name = "BIND", default_value = "127.0.0.1:9901")]
    envoy_admin: SocketAddr,
    /// CA certificates that "verify": "system" means on that machine [default: where
    /// this machine has them].
    #[arg(long, value_name = "PATH")]
    system_roots: Option<PathBuf>,
}

impl Envoy {
    /// Writes both files and prints how to start Envoy with them.
    pub(super) fn run(self) -> Result<(), Failure> {
        let only_run = "run by `dtr-lb run` only";
        let ConfigFile::Balancer(config) = self.config_args.read()? else {
            return Err(Failure::Usage(anyhow::anyhow!(
                "a chain of filters is {only_run}; write its listener for Envoy by hand, as \
                 envoy/README.md shows"
            )));
        };
        if !config.filters.is_empty() {
            return Err(Failure::Usage(anyhow::anyhow!(
                "filters: these are {only_run}; leave them out here, and add \
                 them to the listeners of envoy.yaml before the filter dtr-lb"
            )));
        }
        let out = std::path::absolute(&self.out)
            .with_context(|| format!("--out {} is not a folder", self.out.display()))
            .map_err(Failure::Usage)?;
        let module = out.join("dtr_lb_filter.wasm");
        let options = BootstrapOptions {
            envoy_admin: self.envoy_admin,
            system_roots: self.system_roots.unwrap_or_else(system_roots),
            ..BootstrapOptions::with_wasm(self.wasm_path.as_deref().unwrap_or(&module))
        };
        let yaml = bootstrap(&Plan::of(&config), &options);
        fs::create_dir_all(&out)
            .with_context(|| format!("the folder {} can't be made", out.display()))?;
        replace(&module, FILTER, 0o644)?;
        // The bootstrap holds the token, which allows changes.
        let secret = config.admin.is_some_and(|admin| admin.token.is_some());
        let bootstrap = out.join("envoy.yaml");
        replace(
            &bootstrap,
            yaml.as_bytes(),
            if secret { 0o600 } else { 0o644 },
        )?;
        print(format_args!(
            "wrote {} and {}\nstart it with: envoy -c {} --drain-time-s 600",
            bootstrap.display(),
            module.display(),
            bootstrap.display()
        ))
    }
}

/// Where Linux distributions keep the system's certificates.
fn system_roots() -> PathBuf {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = SYSTEM_ROOTS.into_iter().map(PathBuf::from);
    let debian = PathBuf::from(SYSTEM_ROOTS[0]);
    let mut all = named.into_iter().chain(usual);
    all.find(|path| path.is_file()).unwrap_or(debian)
}

const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

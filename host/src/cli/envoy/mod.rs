//! `dtr-lb envoy`: the same balancer, run by Envoy.

mod config;
mod follow;
mod manifests;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use dtr_lb::config::ConfigFile;
use dtr_lb::envoy::{BootstrapOptions, Folder, bootstrap};
use dtr_lb::plan::Plan;
use dtr_lb::{Discovery, filter_for_envoy};

use self::config::{only_balancer, without_discovery};
use self::follow::{Follower, start_with};
use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::output::{print, replace};

#[derive(Debug, Args)]
pub(crate) struct Envoy {
    #[command(flatten)]
    config_args: ConfigArgs,
    /// Folder to write envoy.yaml and the filter to; made when missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Path of DIR on the machine that runs Envoy [default: DIR].
    #[arg(long, value_name = "PATH")]
    out_path: Option<PathBuf>,
    /// Path of the filter on the machine that runs Envoy [default: in DIR].
    #[arg(long, value_name = "PATH", conflicts_with = "dynamic")]
    wasm_path: Option<PathBuf>,
    /// Address of Envoy's own admin pages, /stats/prometheus among them.
    #[arg(long, value_name = "BIND", default_value = "127.0.0.1:9901")]
    envoy_admin: SocketAddr,
    /// CA certificates that "verify": "system" means on that machine [default: where
    /// this machine has them].
    #[arg(long, value_name = "PATH")]
    system_roots: Option<PathBuf>,
    /// Have Envoy watch DIR: written again, it goes on with the new configuration, and
    /// no connection notices.
    #[arg(long)]
    dynamic: bool,
    /// Go on, and write DIR again whenever the configuration changes.
    #[arg(long, requires = "dynamic")]
    watch: bool,
    /// How long Envoy is given where it can't be asked whether it has what was written.
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "dynamic",
        value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Write DIR/kubernetes.yaml instead: Envoys that follow the configuration, as a
    /// Deployment.
    #[arg(long, conflicts_with_all = ["dynamic", "wasm_path", "out_path", "istio"])]
    kubernetes: bool,
    /// Image of dtr-lb for --kubernetes [default: dtr-lb:VERSION].
    #[arg(long, value_name = "IMAGE", requires = "kubernetes")]
    image: Option<String>,
    /// Image of Envoy 1.40 for --kubernetes.
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "kubernetes",
        default_value = "envoyproxy/envoy:v1.40.0"
    )]
    envoy_image: String,
    /// Write DIR/istio.yaml instead: the filter in a gateway of Istio 1.20 or later.
    #[arg(long, conflicts_with_all = ["dynamic", "wasm_path", "out_path"], requires = "wasm_url")]
    istio: bool,
    /// Where Istio finds the filter: the image that `dtr-lb image` writes, as oci://…, or
    /// what `dtr-lb filter` writes, as https://….
    #[arg(long, value_name = "URL", requires = "istio")]
    wasm_url: Option<String>,
    /// The label `istio` of the gateway for --istio.
    #[arg(
        long,
        value_name = "LABEL",
        requires = "istio",
        default_value = "ingressgateway"
    )]
    gateway: String,
}

impl Envoy {
    /// Writes the files and prints how to start Envoy with them; or goes on to write them.
    pub(super) fn run(self) -> Result<(), Failure> {
        let watched = self.config_args.file().filter(|_| self.watch);
        if self.watch && watched.is_none() {
            return Err(Failure::Usage(anyhow!(
                "--watch needs a file to watch: give --config FILE"
            )));
        }
        let config = only_balancer(self.config_args.read()?)?;
        let out = std::path::absolute(&self.out)
            .with_context(|| format!("--out {} is not a folder", self.out.display()))
            .map_err(Failure::Usage)?;
        if !self.dynamic && !self.kubernetes {
            without_discovery(&config)?;
        }
        match (&self.wasm_url, self.kubernetes, self.dynamic) {
            (Some(url), ..) => self.write_istio(&config, &out, url),
            (None, true, _) => self.write_kubernetes(&config, &out),
            (None, false, true) => self.follow(config, &out, watched),
            (None, false, false) => self.write_once(&config, &out),
        }
    }

    fn write_once(&self, config: &ConfigFile, out: &Path) -> Result<(), Failure> {
        let plan = Plan::of_file(config);
        let yaml = bootstrap(&plan, &self.options(out));
        fs::create_dir_all(out)
            .with_context(|| format!("the folder {} can't be made", out.display()))?;
        let module = out.join(MODULE);
        replace(&module, &filter_for_envoy(&plan), 0o644)?;
        // The bootstrap holds the token.
        let mode = if plan.has_token() { 0o600 } else { 0o644 };
        let bootstrap = out.join("envoy.yaml");
        replace(&bootstrap, yaml.as_bytes(), mode)?;
        print(format_args!(
            "wrote {} and {}\n{}",
            bootstrap.display(),
            module.display(),
            start_with(&bootstrap)
        ))
    }

    fn follow(
        &self,
        config: ConfigFile,
        out: &Path,
        watched: Option<&Path>,
    ) -> Result<(), Failure> {
        let folder =
            Folder::open(out, self.options(out), self.wait).map_err(anyhow::Error::from)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let mut follower = Follower {
            config_args: &self.config_args,
            folder,
            expanded: config.clone(),
            config,
            discovery: Discovery::default(),
        };
        runtime.block_on(async {
            match watched {
                Some(file) => follower.watch(file).await,
                None => follower.once().await,
            }
        })
    }

    fn options(&self, out: &Path) -> BootstrapOptions {
        let out = self.out_path.as_deref().unwrap_or(out);
        let wasm = self.wasm_path.clone().unwrap_or_else(|| out.join(MODULE));
        BootstrapOptions {
            envoy_admin: self.envoy_admin,
            system_roots: self.system_roots.clone().unwrap_or_else(system_roots),
            watched: self.dynamic.then(|| out.to_owned()),
            ..BootstrapOptions::with_wasm(wasm)
        }
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

const MODULE: &str = "dtr_lb_filter.wasm";

const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

//! `dtr-lb envoy --kubernetes` and `--istio`: manifests, to be applied by kubectl.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, anyhow};
use dtr_lb::config::{ConfigFile, Listener, Verify};
use dtr_lb::envoy::{IstioOptions, KubernetesOptions, istio, kubernetes};
use dtr_lb::plan::Plan;

use super::super::failure::Failure;
use super::super::output::{print, replace};
use super::Envoy;

impl Envoy {
    /// Writes manifests of Envoys that follow the configuration.
    pub(super) fn write_kubernetes(&self, config: &ConfigFile, out: &Path) -> Result<(), Failure> {
        can_be_reached(config)?;
        let file = self.config_args.file().ok_or_else(|| {
            Failure::Usage(anyhow!(
                "--kubernetes takes the file over as it is: give --config FILE"
            ))
        })?;
        let configuration = fs::read_to_string(file)
            .with_context(|| format!("{} can't be read", file.display()))?;
        let image = concat!("dtr-lb:", env!("CARGO_PKG_VERSION")).to_owned();
        let options = KubernetesOptions {
            configuration,
            image: self.image.clone().unwrap_or(image),
            envoy_image: self.envoy_image.clone(),
        };
        write(
            out,
            "kubernetes.yaml",
            &kubernetes(&Plan::of_file(config), &options),
        )?;
        print_files(config, "all three containers")
    }

    /// Writes resources for a gateway of Istio.
    pub(super) fn write_istio(
        &self,
        config: &ConfigFile,
        out: &Path,
        url: &str,
    ) -> Result<(), Failure> {
        can_be_reached(config)?;
        speaks_no_proxy_protocol(config)?;
        let schemes = ["oci://", "https://", "http://"];
        if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Failure::Usage(anyhow!(
                "--wasm-url {url}: Istio fetches from oci://, https:// or http://"
            )));
        }
        let options = IstioOptions {
            url: url.to_owned(),
            gateway: self.gateway.clone(),
            // Where its proxy's image has them.
            system_roots: self
                .system_roots
                .clone()
                .unwrap_or_else(|| ISTIO_ROOTS.into()),
        };
        write(out, "istio.yaml", &istio(config, &options))?;
        let from = url
            .split("://")
            .nth(1)
            .and_then(|rest| rest.split(['/', ':']).next());
        if matches!(config, ConfigFile::Services(_)) {
            print(format_args!(
                "{url} is to be the filter for services: `dtr-lb image --services` or \
                 `dtr-lb filter --services`"
            ))?;
        }
        let mut names = config.registries().iter().map(|one| one.fqdn.as_str());
        if let Some(fqdn) = names.find(|fqdn| from == Some(fqdn)) {
            print(format_args!(
                "warning: {fqdn} serves the filter that balances it: with all its replicas \
                 down, or the cache empty, no gateway that starts gets its filter"
            ))?;
        }
        print_files(config, "the gateway's pods")
    }
}

/// Writes a file into the folder, and says so.
fn write(out: &Path, name: &str, manifests: &str) -> Result<(), Failure> {
    fs::create_dir_all(out)
        .with_context(|| format!("the folder {} can't be made", out.display()))?;
    let file = out.join(name);
    // It may hold a token.
    replace(&file, manifests.as_bytes(), 0o600)?;
    print(format_args!(
        "wrote {0}\napply it with: kubectl apply --filename {0}",
        file.display()
    ))
}

/// Whether clients from outside of a pod reach each listener.
fn can_be_reached(file: &ConfigFile) -> Result<(), Failure> {
    let is_for_the_pod_alone = |bind: SocketAddr| bind.ip().is_loopback() || bind.port() == 0;
    let listeners = file.registries().first().map(|one| &one.listeners);
    for (index, listener) in listeners.into_iter().flatten().enumerate() {
        if is_for_the_pod_alone(listener.bind) {
            return Err(Failure::Usage(anyhow!(
                "listeners[{index}].bind is {}, which no client reaches in a pod; bind a fixed \
                 port of 0.0.0.0 or [::]",
                listener.bind
            )));
        }
    }
    Ok(())
}

/// Whether nothing is asked for that a mesh has settings of its own for.
fn speaks_no_proxy_protocol(file: &ConfigFile) -> Result<(), Failure> {
    let Some(first) = file.registries().first() else {
        return Ok(());
    };
    let sends = |listener: &Listener| listener.proxy_protocol.is_some();
    let field = match first.trusted_proxies {
        Some(_) => "accept_proxy_from",
        None if first.listeners.iter().any(sends) => "listeners[].proxy_protocol",
        None => return Ok(()),
    };
    Err(Failure::Usage(anyhow!(
        "{field}: Istio sets up the PROXY protocol itself, in the gateway's proxyConfig and in an \
         EnvoyFilter; leave the field out here, or write the Envoy without --istio"
    )))
}

/// Says which files of the configuration must be there as well.
fn print_files(file: &ConfigFile, place: &str) -> Result<(), Failure> {
    let checks = file.registries().iter().flat_map(|one| &one.checks);
    let files = checks.filter_map(|check| match &check.tls {
        Some(Verify::CaFile(path)) => Some(path.display().to_string()),
        _ => None,
    });
    let files: BTreeSet<String> = files.collect();
    match files.is_empty() {
        true => Ok(()),
        false => {
            let files: Vec<String> = files.into_iter().collect();
            print(format_args!("mount into {place}: {}", files.join(", ")))
        }
    }
}

const ISTIO_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

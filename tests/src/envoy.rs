//! A real Envoy, started from the bootstrap that `dtr-lb envoy` writes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow};
use dtr_lb::envoy::{BootstrapOptions, bootstrap};
use dtr_lb::plan::Plan;
use serde_json::Value;

use crate::certificate::Authority;
use crate::connection::Connection;
use crate::envoy_binary::envoy_binary;
use crate::eventually::{START_LIMIT, eventually};
use crate::log::Log;
use crate::proxy::Addresses;

/// A running Envoy; it ends with this value.
pub(crate) struct Envoy {
    _process: Process,
    pub(crate) addresses: Addresses,
}

impl Envoy {
    /// Writes the bootstrap and the filter into `folder` and starts Envoy there.
    ///
    /// # Errors
    /// When there is no Envoy, or it can't be run.
    pub(crate) async fn start(
        plan: &Plan,
        filter: &[u8],
        folder: &Path,
        log: &Log,
    ) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(envoy_binary).await??;
        let wasm = folder.join("filter.wasm");
        fs::write(&wasm, filter)?;
        let yaml = folder.join("envoy.yaml");
        // Certificates nobody here has, so that no story hangs on the machine's.
        let system_roots = folder.join("roots.pem");
        Authority::new().write(&system_roots);
        let options = BootstrapOptions {
            envoy_admin: (Ipv4Addr::LOCALHOST, 0).into(),
            system_roots,
            ..BootstrapOptions::with_wasm(wasm)
        };
        fs::write(&yaml, bootstrap(plan, &options))?;
        let own_admin = folder.join("admin");
        let mut process = Process::start(&binary, &yaml, &own_admin, log)?;

        let addresses = eventually(START_LIMIT, "Envoy's listeners", async || {
            if let Ok(Some(status)) = process.0.try_wait() {
                return Ok(Err(anyhow!("it ended ({status}):\n{}", log.text())));
            }
            let address = fs::read_to_string(&own_admin).map_err(|error| error.to_string())?;
            let address = address
                .parse()
                .map_err(|_| format!("half an address: {address:?}"))?;
            let found = listeners(address).await?;
            // The bootstrap calls them `traffic-INDEX-PORT` and `admin`.
            let traffic = plan.listeners.iter().enumerate();
            let listeners = traffic
                .map(|(index, one)| found.get(&format!("traffic-{index}-{}", one.port)).copied())
                .collect::<Option<Vec<_>>>();
            match (listeners, found.get("admin").copied()) {
                (Some(listeners), Some(admin)) => Ok(Ok(Addresses {
                    listeners,
                    admin,
                    metrics: (address, "/stats/prometheus"),
                })),
                _ => Err(format!("{found:?}")),
            }
        })
        .await?;
        Ok(Self {
            _process: process,
            addresses,
        })
    }
}

/// The addresses Envoy listens on, by the listener's name.
async fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>, String> {
    let request =
        b"GET /listeners?format=json HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n";
    let mut connection = Connection::try_open(admin)
        .await
        .map_err(|error| format!("Envoy's own admin: {error}"))?;
    let answer = connection
        .try_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let json: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for status in json["listener_statuses"].as_array().into_iter().flatten() {
        let address = &status["local_address"]["socket_address"];
        let (name, ip, port) = (&status["name"], &address["address"], &address["port_value"]);
        if let (Some(name), Some(ip), Some(port)) = (name.as_str(), ip.as_str(), port.as_u64()) {
            let not_an_address = || format!("not an address: {address}");
            let ip = ip.parse().map_err(|_| not_an_address())?;
            let port = u16::try_from(port).map_err(|_| not_an_address())?;
            found.insert(name.to_owned(), SocketAddr::new(ip, port));
        }
    }
    Ok(found)
}

/// Envoy's process, killed when dropped.
struct Process(Child);

impl Process {
    fn start(binary: &Path, yaml: &Path, own_admin: &Path, log: &Log) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .arg("--config-path")
            .arg(yaml)
            .arg("--admin-address-path")
            .arg(own_admin)
            .args(["--use-dynamic-base-id", "--concurrency", "2"])
            // What the filter logs, and Envoy's own warnings.
            .args([
                "--log-level",
                "warning",
                "--component-log-level",
                "wasm:info",
            ])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // SAFETY: between fork and exec only prctl is called, a bare system call
        // that takes no memory and no lock.
        unsafe {
            command.pre_exec(|| {
                // A test that is killed runs no destructor.
                match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("can't run {}", binary.display()))?;
        if let Some(mut from) = child.stderr.take() {
            let mut log = log.clone();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(bytes @ 1..) = from.read(&mut buffer) {
                    let _ = log.write_all(&buffer[..bytes]);
                }
            });
        }
        Ok(Self(child))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

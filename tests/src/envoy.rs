//! A real Envoy, started from the bootstrap that `dtr-lb envoy` writes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use dtr_lb::envoy::{
    ADMIN_NAME, Applied, BootstrapOptions, Confirmed, Folder, bootstrap, listener_names,
};
use dtr_lb::plan::Plan;
use serde_json::Value;

use crate::certificate::Authority;
use crate::connection::Connection;
use crate::envoy_binary::envoy_binary;
use crate::eventually::{LIMIT, START_LIMIT, eventually};
use crate::log::Log;
use crate::proxy::Addresses;
use crate::reserved_port::ReservedPort;

/// A running Envoy; it ends with this value.
pub(crate) struct Envoy {
    _process: Process,
    pub(crate) addresses: Addresses,
    follows: Option<Follows>,
}

/// What an Envoy follows that is not configured once and for all.
struct Follows {
    folder: Folder,
    filter: Vec<u8>,
    own_admin: SocketAddr,
    _port: ReservedPort,
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
        Self::start_edited(plan, filter, |bootstrap| bootstrap, folder, log).await
    }

    /// The same from a bootstrap that somebody has edited.
    ///
    /// # Errors
    /// When there is no Envoy, or it can't be run.
    pub(crate) async fn start_edited(
        plan: &Plan,
        filter: &[u8],
        edit: impl FnOnce(String) -> String,
        folder: &Path,
        log: &Log,
    ) -> Result<Self> {
        let wasm = folder.join("filter.wasm");
        fs::write(&wasm, filter)?;
        let options = BootstrapOptions {
            envoy_admin: (Ipv4Addr::LOCALHOST, 0).into(),
            ..options(wasm, folder)
        };
        let yaml = folder.join("envoy.yaml");
        fs::write(&yaml, edit(bootstrap(plan, &options)))?;
        let (process, addresses) = run(&yaml, plan, log).await?;
        Ok(Self {
            _process: process,
            addresses,
            follows: None,
        })
    }

    /// The same, but Envoy watches `folder`, and can be given another plan.
    ///
    /// # Errors
    /// When there is no Envoy, or it can't be run.
    pub(crate) async fn start_to_follow(
        plan: &Plan,
        filter: &[u8],
        folder: &Path,
        log: &Log,
    ) -> Result<Self> {
        let port = ReservedPort::new();
        let own_admin = (Ipv4Addr::LOCALHOST, port.number()).into();
        let options = BootstrapOptions {
            envoy_admin: own_admin,
            ..options("".into(), folder)
        };
        let mut watched = Folder::open(folder.join(WATCHED), options, LIMIT)?;
        assert_eq!(watched.apply(plan, filter).await?, Applied::First);
        let (process, addresses) = run(&watched.bootstrap_file(), plan, log).await?;
        Ok(Self {
            _process: process,
            addresses,
            follows: Some(Follows {
                folder: watched,
                filter: filter.to_vec(),
                own_admin,
                _port: port,
            }),
        })
    }

    /// Starts one more that watches what [`Envoy::start_to_follow`] has written into
    /// `folder`.
    ///
    /// # Errors
    /// When it can't be run.
    pub(crate) async fn start_beside(plan: &Plan, folder: &Path, log: &Log) -> Result<Self> {
        let options = BootstrapOptions {
            envoy_admin: (Ipv4Addr::LOCALHOST, 0).into(),
            watched: Some(folder.join(WATCHED)),
            ..options("".into(), folder)
        };
        let yaml = folder.join("beside.yaml");
        fs::write(&yaml, bootstrap(plan, &options))?;
        let (process, addresses) = run(&yaml, plan, log).await?;
        Ok(Self {
            _process: process,
            addresses,
            follows: None,
        })
    }

    /// Whether it has a cluster of this name.
    ///
    /// # Errors
    /// When it does not say.
    pub(crate) async fn has_cluster(&self, name: &str) -> Result<bool, String> {
        let (own_admin, _) = self.addresses.metrics;
        let path = "/config_dump?resource=dynamic_active_clusters&mask=cluster.name";
        let answer = own_page(own_admin, path).await?;
        let clusters = answer["configs"].as_array().into_iter().flatten();
        let mut names = clusters.map(|one| &one["cluster"]["name"]);
        Ok(names.any(|known| known == name))
    }

    /// Goes on with another plan and filter.
    ///
    /// # Errors
    /// When Envoy refuses it, or does not say that it has it.
    ///
    /// # Panics
    /// When it does not follow anything.
    pub(crate) async fn reload(&mut self, plan: &Plan, filter: &[u8]) -> Result<()> {
        let Some(follows) = &mut self.follows else {
            panic!("this Envoy has been configured once and for all");
        };
        match follows.folder.apply(plan, filter).await? {
            Applied::Changed(change) if change.confirmed == Confirmed::ByEnvoy => {}
            other => bail!("{other:?}"),
        }
        follows.filter = filter.to_vec();
        let found = listeners(follows.own_admin).await;
        let found = found.map_err(|error| anyhow!(error))?;
        let addresses = Addresses::of_envoy(plan, &found, follows.own_admin);
        self.addresses = addresses.with_context(|| format!("{found:?}"))?;
        Ok(())
    }

    /// Waits for what earlier plans have left to be of no use any more, and removes it.
    ///
    /// # Errors
    /// When Envoy refuses that.
    pub(crate) async fn removes_leftovers(&mut self, plan: &Plan) -> Result<()> {
        if let Some(Follows { folder, filter, .. }) = &mut self.follows {
            while folder.leftovers_last().is_some() {
                folder.leftovers().await;
                folder.remove_leftovers(plan, filter).await?;
            }
        }
        Ok(())
    }
}

/// With certificates nobody here has, so that no story hangs on the machine's.
fn options(wasm: PathBuf, folder: &Path) -> BootstrapOptions {
    let system_roots = folder.join("roots.pem");
    Authority::new().write(&system_roots);
    BootstrapOptions {
        system_roots,
        ..BootstrapOptions::with_wasm(wasm)
    }
}

/// Starts Envoy, and waits until it listens.
async fn run(yaml: &Path, plan: &Plan, log: &Log) -> Result<(Process, Addresses)> {
    let binary = tokio::task::spawn_blocking(envoy_binary).await??;
    let own_admin = yaml.with_extension("admin");
    // That of one that has ended.
    let _ = fs::remove_file(&own_admin);
    let mut process = Process::start(&binary, yaml, &own_admin, log)?;
    let addresses = eventually(START_LIMIT, "Envoy's listeners", async || {
        if let Ok(Some(status)) = process.0.try_wait() {
            return Ok(Err(anyhow!("it ended ({status}):\n{}", log.text())));
        }
        let address = fs::read_to_string(&own_admin).map_err(|error| error.to_string())?;
        let address = address
            .parse()
            .map_err(|_| format!("half an address: {address:?}"))?;
        let found = listeners(address).await?;
        match Addresses::of_envoy(plan, &found, address) {
            Some(addresses) => Ok(Ok(addresses)),
            None => Err(format!("{found:?}")),
        }
    })
    .await?;
    Ok((process, addresses))
}

impl Addresses {
    /// Where an Envoy of this plan listens; `None`: not everywhere yet.
    fn of_envoy(
        plan: &Plan,
        found: &BTreeMap<String, SocketAddr>,
        own_admin: SocketAddr,
    ) -> Option<Addresses> {
        let names = listener_names(plan).into_iter();
        Some(Addresses {
            listeners: names
                .map(|name| found.get(&name).copied())
                .collect::<Option<Vec<_>>>()?,
            admin: found.get(ADMIN_NAME).copied()?,
            metrics: (own_admin, "/stats/prometheus"),
        })
    }
}

/// The addresses Envoy listens on, by the listener's name.
async fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>, String> {
    let json = own_page(admin, "/listeners?format=json").await?;
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

/// A page in JSON of Envoy's own admin.
async fn own_page(admin: SocketAddr, path: &str) -> Result<Value, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n");
    let mut connection = Connection::try_open(admin)
        .await
        .map_err(|error| format!("Envoy's own admin: {error}"))?;
    let answer = connection
        .try_request(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
}

/// The folder that Envoys watch, in the story's.
const WATCHED: &str = "watched";

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
            // The access log waits ten seconds otherwise.
            .args(["--file-flush-interval-msec", "50"])
            // What the filter logs, and Envoy's own warnings.
            .args([
                "--log-level",
                "warning",
                "--component-log-level",
                "wasm:info",
            ])
            .process_group(0)
            .stdin(Stdio::null())
            // The access log.
            .stdout(Stdio::piped())
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
        if let Some(from) = child.stdout.take() {
            read_into(log.clone(), from);
        }
        if let Some(from) = child.stderr.take() {
            read_into(log.clone(), from);
        }
        Ok(Self(child))
    }
}

fn read_into(mut log: Log, from: impl Read + Send + 'static) {
    std::thread::spawn(move || {
        // Whole lines: there are two of these, and a story looks at any time.
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while let Ok(1..) = from.read_until(b'\n', &mut line) {
            let _ = log.write_all(&line);
            line.clear();
        }
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

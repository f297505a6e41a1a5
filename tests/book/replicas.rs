//! The replicas of the machine's registry, which are not on the machine.

use std::io;
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use dtr_lb::standin::{Condition, Deviation, Registry, Replica};
use dtr_lb_tests::namespace::ip;

use crate::scene::Scene;

/// Their names and addresses.
pub(crate) const REPLICAS: [(&str, &str); 3] = [
    ("r1", "10.0.0.11"),
    ("r2", "10.0.0.12"),
    ("r3", "10.0.0.13"),
];

/// Starts them in a network of their own, with a wire to this one; they serve until this
/// process ends. Of those that are gone the machine is there, and nothing listens. The
/// certificate of the authority that signed theirs, as PEM.
///
/// # Errors
/// When the network can't be made.
pub(crate) fn start(fqdn: &'static str, scene: &'static Scene) -> Result<String> {
    let (say, heard) = channel();
    let (connect, connected) = channel();
    thread::spawn(move || {
        let served = serve(fqdn, scene, &say, &connected);
        // Who waits for it has gone when it comes late.
        let _ = say.send(served.map(|never| match never {}));
    });
    let ended = "the replicas' thread ended";
    let network = heard.recv().context(ended)??;
    ip(&[
        "link", "add", "replicas", "type", "veth", "peer", "name", "eth0", "netns", &network,
    ])?;
    ip(&["address", "add", "10.0.0.1/24", "dev", "replicas"])?;
    ip(&["link", "set", "replicas", "up"])?;
    connect.send(()).context(ended)?;
    heard.recv().context(ended)?
}

/// Says first which thread is in their network, then, once they are connected, who signed
/// their certificates.
fn serve(
    fqdn: &str,
    scene: &Scene,
    say: &Sender<Result<String>>,
    connected: &Receiver<()>,
) -> Result<std::convert::Infallible> {
    // SAFETY: a bare system call that takes no memory; it concerns this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error()).context("a network for the replicas");
    }
    // SAFETY: a bare system call that takes no memory.
    let thread = unsafe { libc::gettid() };
    say.send(Ok(thread.to_string()))?;
    connected.recv()?;
    for (_, address) in REPLICAS {
        ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
    }
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "set", "eth0", "up"])?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let registry = Registry::new(fqdn)?;
        let mut replicas: Vec<Replica> = Vec::new();
        for (name, address) in REPLICAS {
            let address: Ipv4Addr = address.parse()?;
            let (http, https) = ((address, 80).into(), (address, 443).into());
            let replica = registry.replica(name, http, https).await?;
            if scene.gone.contains(&name) {
                replica.set_condition(Condition::Gone).await?;
            }
            if scene.ahead.contains(&name) {
                replica.set_deviation(Deviation {
                    clock_ahead: AHEAD,
                    ..Deviation::default()
                });
            }
            replicas.push(replica);
        }
        say.send(Ok(registry.ca_pem().to_owned()))?;
        std::future::pending().await
    })
}

/// How far ahead a clock is that is wrong.
const AHEAD: Duration = Duration::from_secs(60);

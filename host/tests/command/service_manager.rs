//! What `dtr-lb run` sends systemd: sd_notify(3).

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::balancer::{Balancer, Config, greeting};
use crate::dtr_lb;
use crate::running::LIMIT;

#[test]
fn systemd_is_notified_of_start_reload_and_drain() {
    let manager = Manager::new();
    let next = || manager.next();
    let config = Config::forwarding(greeting(), json!({ "drain_timeout": "20s" }));
    let mut command = dtr_lb(&[]);
    command.env("NOTIFY_SOCKET", manager.path());
    let balancer = Balancer::logging(&mut command, config);

    let ready = next();
    assert!(
        ready.starts_with("READY=1\nSTATUS=accepts connections on 127."),
        "{ready}"
    );
    assert!(ready.contains(&balancer.address), "{ready}");

    for wrong in [false, true] {
        if wrong {
            balancer.config().write("{}");
        }
        balancer.program.signal(Signal::HUP);
        let reloading = next();
        assert!(
            reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
            "{reloading}"
        );
        assert!(next().starts_with("READY=1\n"), "wrong: {wrong}");
    }

    balancer.program.signal(Signal::TERM);
    let stopping = next();
    let expected = "STOPPING=1\nSTATUS=drains\nEXTEND_TIMEOUT_USEC=25000000";
    assert_eq!(stopping.trim_end(), expected);
}

#[test]
fn a_watchdog_is_fed() {
    let manager = Manager::new();
    let mut command = dtr_lb(&[]);
    command
        .env("NOTIFY_SOCKET", manager.path())
        .env("WATCHDOG_USEC", "200000");
    let config = Config::forwarding(greeting(), json!({}));
    let _balancer = Balancer::logging(&mut command, config);

    let mut fed = 0;
    while fed < 3 {
        fed += usize::from(manager.next().starts_with("WATCHDOG=1"));
    }
}

/// A service manager that is sent messages.
pub(crate) struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    pub(crate) fn new() -> Manager {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join(NAME)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Manager { socket, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// The next message.
    pub(crate) fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}

const NAME: &str = "notify";

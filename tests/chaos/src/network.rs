//! Where it all happens: a network namespace of its own, or this machine's loopback.

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::this_program;

/// The network of one case. Replicas and clients have addresses of 127.0.0.0/8 in
/// either, so that nothing else depends on which it is.
pub(crate) enum Network {
    /// A namespace that nobody else is in and that ends with this process.
    Private,
    /// The machine's own loopback, and why.
    Loopback(String),
}

impl Network {
    /// Moves this process, and all that it starts, into a namespace of its own. With
    /// `resolv_conf`, names are resolved as that file says. It goes on as the first
    /// process there, at whose end the system kills all others.
    ///
    /// To be called while the process has one thread: a namespace belongs to threads.
    ///
    /// # Errors
    /// When the namespace was made and can't be furnished.
    pub(crate) fn enter(resolv_conf: &Path) -> Result<Self> {
        if let Err(error) = ip(&["-V"]) {
            return Ok(Self::Loopback(format!("no `ip` here: {error}")));
        }
        if let Err(error) = unshare() {
            return Ok(Self::Loopback(format!("no namespaces here: {error}")));
        }
        go_on_as_first()?;
        ip(&["link", "set", "lo", "up"])?;
        // A rule before the one for this machine's own addresses can then drop
        // what one of them sends.
        ip(&["rule", "add", "pref", "1000", "lookup", "local"])?;
        ip(&["rule", "del", "pref", "0", "lookup", "local"])?;
        mount(resolv_conf, Path::new("/etc/resolv.conf")).context("mounting resolv.conf")?;
        mount_proc().context("mounting /proc")?;
        Ok(Self::Private)
    }

    /// Drops every packet this address sends, from now on.
    ///
    /// # Errors
    /// Outside a namespace of our own.
    pub(crate) fn black_hole(&self, address: Ipv4Addr) -> Result<()> {
        self.rule("add", address)
    }

    /// Lets the packets of this address pass again.
    ///
    /// # Errors
    /// When they were not dropped.
    pub(crate) fn heal(&self, address: Ipv4Addr) -> Result<()> {
        self.rule("del", address)
    }

    /// As the table says it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Private => "a network namespace of its own".to_owned(),
            Self::Loopback(why) => format!("the machine's loopback ({why})"),
        }
    }

    fn rule(&self, what: &str, from: Ipv4Addr) -> Result<()> {
        if let Self::Loopback(why) = self {
            bail!("packets can't be dropped on the machine's own loopback ({why})");
        }
        let from = from.to_string();
        ip(&[
            "rule",
            what,
            "pref",
            "10",
            "from",
            &from,
            "type",
            "blackhole",
        ])
    }
}

/// The network that a case has here.
///
/// # Errors
/// When that can't be found out.
pub(crate) async fn of_cases() -> Result<Network> {
    let mut probe = this_program()?;
    let output = probe.arg("network").output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let why = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(if why.is_empty() {
        Network::Private
    } else {
        Network::Loopback(why)
    })
}

/// A port nobody listens on. Below those the kernel gives to clients, so that it
/// stays free until it is used, and again while a replica is restarted.
///
/// # Errors
/// When all are taken.
pub(crate) fn free_port(on: Ipv4Addr) -> Result<u16> {
    let start = u64::from(std::process::id()) * 61;
    for step in 0..PORTS {
        let port = FIRST_PORT + ((start + step) % PORTS) as u16;
        if !taken(port) && TcpListener::bind(SocketAddr::new(IpAddr::V4(on), port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from {FIRST_PORT} on is free on {on}")
}

/// Notes a port as given away, and says whether it was already.
fn taken(port: u16) -> bool {
    static GIVEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    let mut given = GIVEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = given.contains(&port);
    given.push(port);
    known
}

fn unshare() -> io::Result<()> {
    let ours = libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    // SAFETY: a bare system call that takes no memory.
    if unsafe { libc::unshare(ours) } == 0 {
        return Ok(());
    }
    // SAFETY: bare system calls that take no memory.
    let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
    // SAFETY: as above. In a user namespace anybody may have a network of their own.
    if unsafe { libc::unshare(ours | libc::CLONE_NEWUSER) } != 0 {
        return Err(io::Error::last_os_error());
    }
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Returns in a child, the first process of the new namespace, which ends with this
/// one; this one ends as the child does.
fn go_on_as_first() -> io::Result<()> {
    // SAFETY: the process has one thread, so that no lock is held in the child.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: a bare system call that takes no memory.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
        _ => {
            let mut status = 0;
            // SAFETY: the status is ours and outlives the call; the child is too.
            while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            // Without destructors: what they would undo is the child's.
            std::process::exit(if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                KILLED
            })
        }
    }
}

/// Has `/proc` show the processes of this namespace.
fn mount_proc() -> io::Result<()> {
    let none = std::ptr::null();
    // SAFETY: the strings are constants, and what is null may be.
    match unsafe {
        libc::mount(
            c"proc".as_ptr(),
            c"/proc".as_ptr(),
            c"proc".as_ptr(),
            0,
            none,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Puts a file in the place of another, for this namespace alone.
fn mount(file: &Path, place: &Path) -> Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes());
    let (file, place, root) = (text(file)?, text(place)?, CString::new("/")?);
    let none = std::ptr::null();
    // SAFETY: the strings outlive the calls, and what is null may be.
    let done = unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        libc::mount(none, root.as_ptr(), none, private, none.cast()) == 0
            && libc::mount(
                file.as_ptr(),
                place.as_ptr(),
                none,
                libc::MS_BIND,
                none.cast(),
            ) == 0
    };
    if !done {
        return Err(io::Error::last_os_error().into());
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", arguments.join(" "), error.trim());
    }
    Ok(())
}

/// Exit code when the first process was killed.
const KILLED: i32 = 2;
const FIRST_PORT: u16 = 10_000;
const PORTS: u64 = 10_000;

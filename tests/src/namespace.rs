//! Namespaces of a process's own: a network, mounts and processes that the machine has no
//! part in.

use std::ffi::CString;
use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// Moves this process, and all that it starts, into namespaces of its own. Whoever may not
/// has a namespace of users as well, in which there is nobody else.
///
/// To be called while the process has one thread: a namespace belongs to threads.
///
/// # Errors
/// When the system does not allow it.
pub fn unshare() -> io::Result<()> {
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
/// one, and at whose end the system kills all others; this one ends as the child does.
/// What is mounted from now on is there for them alone.
///
/// # Errors
/// When there can't be such a process.
pub fn go_on_as_first() -> io::Result<()> {
    // SAFETY: the process has one thread, so that no lock is held in the child.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: a bare system call that takes no memory.
            if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
                return Err(io::Error::last_os_error());
            }
            mount(None, Path::new("/"), None, libc::MS_REC | libc::MS_PRIVATE)?;
            // Shows the processes of this namespace.
            mount(None, Path::new("/proc"), Some("proc"), 0)
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
            std::process::exit(code_of(status))
        }
    }
}

/// Returns in a child once more; the first process does nothing from now on but wait for
/// those whose parents have ended, and ends as the child does.
///
/// # Errors
/// When there can't be such a process.
pub fn leave_first_as_init() -> io::Result<()> {
    // SAFETY: the process has one thread, so that no lock is held in the child.
    let child = unsafe { libc::fork() };
    match child {
        -1 => return Err(io::Error::last_os_error()),
        0 => return Ok(()),
        _ => {}
    }
    loop {
        let mut status = 0;
        // SAFETY: the status is ours and outlives the call.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if ended == child {
            std::process::exit(code_of(status));
        }
        if ended == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

/// Whether files can be given to other users here: in a namespace of users there may be
/// none.
///
/// # Errors
/// When the system does not say.
pub fn has_other_users() -> io::Result<bool> {
    let map = std::fs::read_to_string("/proc/self/uid_map")?;
    let counts = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2));
    Ok(counts
        .filter_map(|count| count.parse::<u64>().ok())
        .sum::<u64>()
        > 1)
}

/// Puts a file or a folder in the place of another.
///
/// # Errors
/// When one of them is not there.
pub fn bind(from: &Path, place: &Path) -> io::Result<()> {
    mount(Some(from), place, None, libc::MS_BIND | libc::MS_REC)
}

/// Puts an empty folder, kept in memory, in the place of another.
///
/// # Errors
/// When that is not there.
pub fn empty(place: &Path) -> io::Result<()> {
    mount(None, place, Some("tmpfs"), 0)
}

/// Runs `ip` of iproute2.
///
/// # Errors
/// When there is none, or it fails.
pub fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", arguments.join(" "), error.trim());
    }
    Ok(())
}

fn code_of(status: i32) -> i32 {
    if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        KILLED
    }
}

fn mount(
    from: Option<&Path>,
    place: &Path,
    kind: Option<&str>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let from = match (from, kind) {
        (Some(from), _) => CString::new(from.as_os_str().as_encoded_bytes())?,
        // Only shown, in the list of what is mounted.
        (None, kind) => CString::new(kind.unwrap_or("none"))?,
    };
    let place = CString::new(place.as_os_str().as_encoded_bytes())?;
    let kind = kind.map(CString::new).transpose()?;
    let kind = kind.as_ref().map_or(std::ptr::null(), |kind| kind.as_ptr());
    let none = std::ptr::null();
    // SAFETY: the strings outlive the call, and what is null may be.
    match unsafe { libc::mount(from.as_ptr(), place.as_ptr(), kind, flags, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Exit code when the first process was killed.
const KILLED: i32 = 2;

//! The part of WASI preview 1 that guests' languages need, as far as
//! Envoy's host library has it: a clock, randomness, a log.

use wasmtime::{Caller, FuncType, Linker, Val};

use super::abi::LogLevel;
use super::hostcall::root::nanos;
use super::log;
use super::memory::{Call, GuestSlice};
use super::policy::Decision;
use super::state::VmState;
use super::status::HostcallError;
use super::watched::{HostcallArgument, watched};

/// Both names under which guests ask for it.
pub(super) const MODULES: &[&str] = &["wasi_snapshot_preview1", "wasi_unstable"];

/// Runs one function; its error is an errno.
fn serve(
    mut caller: Caller<'_, VmState>,
    name: &'static str,
    arguments: &[u64],
    body: impl FnOnce(&mut Call<'_, '_>) -> Result<(), Errno>,
) -> wasmtime::Result<u32> {
    if let Some(observer) = caller.data().observer.clone() {
        return watched(caller, &observer, name, arguments, |caller| {
            checked(caller, name, body)
        });
    }
    checked(&mut caller, name, body)
}

fn checked(
    caller: &mut Caller<'_, VmState>,
    name: &'static str,
    body: impl FnOnce(&mut Call<'_, '_>) -> Result<(), Errno>,
) -> wasmtime::Result<u32> {
    if caller.data().policy.guarded() {
        match caller.data().policy.decide(name) {
            Decision::Allow => {}
            Decision::Deny => return Ok(Errno::NOT_CAPABLE.0),
            Decision::Trap(forbidden) => return Err(wasmtime::Error::new(forbidden)),
        }
    }
    let result = match Call::new(caller) {
        Some(mut call) => body(&mut call),
        None => Err(Errno::FAULT),
    };
    Ok(result.map_or_else(|errno| errno.0, |()| 0))
}

/// Declares the functions that do something.
macro_rules! functions {
    ($($name:ident |$call:ident $(, $param:ident: $ty:ty)*| $body:expr;)*) => {
        pub(super) fn define(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
            for module in MODULES {
                $(linker.func_wrap(module, stringify!($name), |caller: Caller<'_, VmState> $(, $param: $ty)*| {
                    serve(caller, stringify!($name), &[$(HostcallArgument::to_u64($param)),*], |$call| $body)
                })?;)*
                // Envoy does no more either; the guest's next instruction is a trap.
                linker.func_wrap(module, "proc_exit", |code: u32| {
                    tracing::debug!(target: "guest", code, "proc_exit");
                })?;
            }
            Ok(())
        }

        pub(super) const NAMES: &[&str] = &[$(stringify!($name),)* "proc_exit"];
    };
}

functions! {
    args_get |_call, _argv: u32, _buffer: u32| Ok(());
    args_sizes_get |call, count: u32, size: u32| zeros(call, count, size);
    environ_get |_call, _environ: u32, _buffer: u32| Ok(());
    environ_sizes_get |call, count: u32, size: u32| zeros(call, count, size);
    clock_res_get |call, _clock: u32, to: u32| Ok(call.put_u64(to, 1)?);
    clock_time_get |call, clock: u32, _precision: u64, to: u32| time(call, clock, to);
    random_get |call, at: u32, len: u32| random(call, at, len);
    sched_yield |_call| Ok(());
    poll_oneoff |call, _subscriptions: u32, _events: u32, _count: u32, ready_to: u32|
        Ok(call.put_u32(ready_to, 0)?);
    fd_write |call, fd: u32, pieces: u32, count: u32, written_to: u32|
        write(call, fd, pieces, count, written_to);
    fd_pwrite |call, fd: u32, pieces: u32, count: u32, _offset: u64, written_to: u32|
        write(call, fd, pieces, count, written_to);
    fd_fdstat_get |call, fd: u32, to: u32| fdstat(call, fd, to);
    fd_seek |_call, _fd: u32, _offset: i64, _whence: u32, _to: u32| Ok(());
    fd_close |_call, _fd: u32| Ok(());
}

fn zeros(call: &mut Call<'_, '_>, count_to: u32, size_to: u32) -> Result<(), Errno> {
    call.put_u32(count_to, 0)?;
    Ok(call.put_u32(size_to, 0)?)
}

fn time(call: &mut Call<'_, '_>, clock: u32, to: u32) -> Result<(), Errno> {
    let environment = &call.state().environment;
    let now = match clock {
        0 => environment.realtime(),
        1 => environment.monotonic(),
        _ => return Err(Errno::NOT_SUPPORTED),
    };
    Ok(call.put_u64(to, nanos(now))?)
}

fn random(call: &mut Call<'_, '_>, at: u32, len: u32) -> Result<(), Errno> {
    if len > MAX_RANDOM {
        return Err(Errno::INVALID);
    }
    let (mut view, state) = call.split();
    state.environment.random(view.get_mut(GuestSlice(at, len))?);
    Ok(())
}

/// Standard output and standard error are log lines.
fn write(
    call: &mut Call<'_, '_>,
    fd: u32,
    pieces: u32,
    count: u32,
    written_to: u32,
) -> Result<(), Errno> {
    let level = match fd {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return Err(Errno::BAD_FD),
    };
    let (mut view, state) = call.split();
    let mut text = Vec::new();
    for index in 0..count {
        let piece = index
            .checked_mul(8)
            .and_then(|offset| pieces.checked_add(offset))
            .ok_or(Errno::FAULT)?;
        let at = view.get_u32(piece)?;
        let len = view.get_u32(piece.checked_add(4).ok_or(Errno::FAULT)?)?;
        if len > 0 {
            let bytes = view.get(GuestSlice(at, len))?;
            if text.len() + bytes.len() > MAX_TEXT {
                return Err(Errno::INVALID);
            }
            text.extend_from_slice(bytes);
        }
    }
    view.put(written_to, &(text.len() as u32).to_le_bytes())?;
    if !text.is_empty() {
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        log::write(state, level, &String::from_utf8_lossy(line));
    }
    Ok(())
}

/// Standard output and error can be written, and there is nothing else.
fn fdstat(call: &mut Call<'_, '_>, fd: u32, to: u32) -> Result<(), Errno> {
    if fd != 1 && fd != 2 {
        return Err(Errno::BAD_FD);
    }
    let mut stat = [0; 24];
    stat[8] = RIGHT_TO_WRITE;
    Ok(call.split().0.put(to, &stat)?)
}

/// Defines a function of this name that always returns the errno Envoy returns,
/// or "no such function". Whether it has a shape that can be defined.
pub(super) fn stand_in(
    linker: &mut Linker<VmState>,
    module: &str,
    name: &str,
    shape: FuncType,
) -> bool {
    if shape.results().len() != 1 || !shape.results().all(|ty| ty.is_i32()) {
        return false;
    }
    let errno = errno_of(name);
    linker
        .func_new(module, name, shape, move |_, _, results| {
            if let Some(result) = results.first_mut() {
                *result = Val::I32(errno.0 as i32);
            }
            Ok(())
        })
        .is_ok()
}

fn errno_of(name: &str) -> Errno {
    match name {
        "fd_prestat_get" | "fd_filestat_get" | "fd_tell" | "fd_renumber" => Errno::BAD_FD,
        "fd_readdir" => Errno::NOT_DIR,
        "path_open" => Errno::NO_ENTRY,
        "fd_advise" | "fd_allocate" | "fd_datasync" | "fd_sync" | "proc_raise" => Errno::SUCCESS,
        name if name.starts_with("path_") || name.starts_with("sock_") => Errno::NOT_SUPPORTED,
        _ => Errno::NO_SYSCALL,
    }
}

/// WASI's error numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Errno(u32);

impl Errno {
    const SUCCESS: Errno = Errno(0);
    const BAD_FD: Errno = Errno(8);
    const NOT_DIR: Errno = Errno(20);
    const FAULT: Errno = Errno(21);
    const INVALID: Errno = Errno(28);
    const NO_ENTRY: Errno = Errno(44);
    const NO_SYSCALL: Errno = Errno(52);
    const NOT_SUPPORTED: Errno = Errno(58);
    const NOT_CAPABLE: Errno = Errno(76);
}

/// All that can go wrong here is an address outside the guest's memory.
impl From<HostcallError> for Errno {
    fn from(_: HostcallError) -> Errno {
        Errno::FAULT
    }
}

/// Most random bytes at once.
const MAX_RANDOM: u32 = 64 << 10;
/// Longest text written at once, bytes.
const MAX_TEXT: usize = 1 << 20;
/// `FD_WRITE` in the low byte of `fs_rights_base`.
const RIGHT_TO_WRITE: u8 = 64;

//! The VM, driven by guests written as lists of host calls, and by hostile ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod abi;
mod buffers;
mod calls;
mod fixture;
mod foreign;
mod guest;
mod http;
mod lifecycle;
mod limits;
mod logs;
mod profiles;
mod properties;
mod root;
mod run;
mod shared;
mod start;
mod threads;
mod traps;
mod wasi;

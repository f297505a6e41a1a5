//! The VM, driven by guests written as lists of host calls, and by hostile ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod foreign;
mod guest;
mod hostcalls;
mod hostile;
mod logs;
mod profiles;
mod streams;
mod threads;

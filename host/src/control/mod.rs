//! Reaching sessions from outside: which are open, what they are asked to do, and
//! the phases of the host that asks.

pub(crate) mod admission;
pub(crate) mod all_sessions;
pub(crate) mod command;
pub(crate) mod lifecycle;
pub(crate) mod session_list;
pub(crate) mod session_record;
pub(crate) mod sessions;

pub(crate) use command::{CloseCommand, Cutter};

//! Whole files: what becomes of them, and that none of them breaks a reader.

mod checks;
mod composing;
mod idle_timeout;
mod mutations;
mod samples;

//! Whole files: what becomes of them, and that none of them breaks a reader.

mod checks;
mod composing;
mod mutations;
mod samples;

//! A network filter that fails.

use std::fs;
use std::path::Path;

use anyhow::Result;

/// Writes the module of a filter that traps at each connection.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write(file: &Path) -> Result<()> {
    Ok(fs::write(file, wat::parse_str(TRAPS)?)?)
}

const TRAPS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_new_connection") (param i32) (result i32) unreachable))"#;

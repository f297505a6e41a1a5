//! Folders of the tested package.

use std::path::{Path, PathBuf};

/// A path that is not absolute counts from the tested package's folder, which
/// cargo names to its tests.
pub(super) fn resolve(path: &Path) -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) if path.is_relative() => Path::new(&package).join(path),
        _ => path.to_owned(),
    }
}

/// A folder of the testkit's own beside the running test, in its target folder:
/// so that `cargo clean` cleans it, and apart from the rest, since cargo may hold
/// that one's lock.
pub(super) fn target() -> Option<PathBuf> {
    let running = std::env::current_exe().ok()?;
    let mut folders = running.ancestors();
    let target = folders.find(|folder| folder.join("CACHEDIR.TAG").exists())?;
    Some(target.join("testkit"))
}

/// Where a crate is built.
pub(super) fn target_folder(krate: &Path) -> PathBuf {
    target().unwrap_or_else(|| krate.join("target").join("testkit"))
}

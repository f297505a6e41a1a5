//! A guest by its name.

use std::path::Path;

use crate::guest::Guest;
use crate::guest::build::Build;
use crate::guest::folder::resolve;

/// The guest of this name, for tests: a path to a `.wasm` or `.wat` file, a path
/// to a crate, or the name of a package in the tested package's workspace. Paths
/// count from the tested package's folder.
///
/// # Panics
/// When it cannot be read or built; says why.
#[track_caller]
pub fn guest(name: &str) -> Guest {
    let path = resolve(Path::new(name));
    let is_module =
        (path.extension()).is_some_and(|extension| extension == "wasm" || extension == "wat");
    if is_module {
        match Guest::file(&path) {
            Ok(guest) => return guest,
            Err(error) => panic!("guest {}: cannot be read: {error}", path.display()),
        }
    }
    let build = if path.join("Cargo.toml").exists() {
        Build::new(path)
    } else {
        Build::new(resolve(Path::new("."))).package(name)
    };
    match build.run() {
        Ok(guest) => guest,
        Err(error) => panic!("{error}"),
    }
}

//! Compiled code kept in files, so that a second process need not compile.

use std::hash::{Hash as _, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ring::digest;

use super::engine::{Engine, Module};
use super::trap::LoadError;

impl Module {
    /// As [`Module::compile`], but looks into this folder first, and leaves the
    /// compiled code there. A folder that cannot be read or written costs time only.
    ///
    /// Code in the folder is run unchecked: give write access to it only to those who
    /// may replace this program too, as with Cargo's target folder.
    ///
    /// # Errors
    /// As [`Module::compile`].
    pub fn cached(engine: &Engine, wasm: &[u8], folder: &Path) -> Result<Module, LoadError> {
        let file = folder.join(format!("{}.cwasm", key(engine, wasm)));
        if file.is_file() {
            // SAFETY: this function wrote the file, for an equal engine and module;
            // the caller vouches for the folder. Code of another engine is refused.
            let found = unsafe { wasmtime::Module::deserialize_file(engine.wasm(), &file) };
            if let Ok(found) = found {
                return Module::link(engine, &found);
            }
        }
        let module = Module::parse(engine, wasm)?;
        if let Ok(code) = module.serialize() {
            store(&file, &code);
        }
        Module::link(engine, &module)
    }
}

/// SHA-256 of the compiler's version and settings and of the module.
fn key(engine: &Engine, wasm: &[u8]) -> String {
    let mut hasher = Sha256Hasher(digest::Context::new(&digest::SHA256));
    let settings = engine.wasm().precompile_compatibility_hash();
    settings.hash(&mut hasher);
    hasher.0.update(wasm);
    let digest = hasher.0.finish();
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |key, byte| format!("{key}{byte:02x}"))
}

/// Feeds SHA-256 with what implements [`Hash`].
struct Sha256Hasher(digest::Context);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the digest has more bits.
    fn finish(&self) -> u64 {
        0
    }
}

/// Writes the file in one step, and removes files that were written long ago.
fn store(file: &Path, code: &[u8]) {
    let Some(folder) = file.parent() else { return };
    let part: PathBuf = file.with_extension(format!("{}.part", std::process::id()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&part, code))
        .and_then(|()| std::fs::rename(&part, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    let Ok(files) = std::fs::read_dir(folder) else {
        return;
    };
    for old in files.flatten() {
        let written = old.metadata().and_then(|metadata| metadata.modified());
        let age = written.map(|written| SystemTime::now().duration_since(written));
        if matches!(age, Ok(Ok(age)) if age > MAX_AGE) {
            let _ = std::fs::remove_file(old.path());
        }
    }
}

/// Older files are removed.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;
    use crate::AbiVersion;

    #[test]
    fn a_module_is_found_again_and_a_spoilt_file_is_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new().unwrap();
        let guest = |version: &str| format!("(module (func (export {version:?})))");
        let (new, old) = (
            guest("proxy_abi_version_0_2_1"),
            guest("proxy_abi_version_0_1_0"),
        );
        let load = || {
            let module = Module::cached(&engine, new.as_bytes(), folder.path());
            module.unwrap().abi()
        };
        assert_eq!(load(), AbiVersion::V0_2_1);
        let mut files = std::fs::read_dir(folder.path()).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "one file, whole");

        let other = Module::parse(&engine, old.as_bytes()).unwrap();
        std::fs::write(&file, other.serialize().unwrap()).unwrap();
        assert_eq!(load(), AbiVersion::V0_1_0, "it is the file that is loaded");

        let code = std::fs::read(&file).unwrap();
        std::fs::write(&file, &code[..code.len() / 2]).unwrap();
        assert_eq!(load(), AbiVersion::V0_2_1, "compiled anew");
        assert_ne!(std::fs::read(&file).unwrap().len(), code.len() / 2);
    }
}

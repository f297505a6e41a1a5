//! Compiled code kept in files, so that a second process need not compile.

mod folder;

use std::hash::{Hash as _, Hasher};
use std::path::Path;

use ring::digest;

use self::folder::{EXTENSION, Folder};
use super::engine::{Engine, Module};
use super::trap::LoadError;
pub use folder::CacheError;

/// What came of looking into the folder of [`Module::from_cache`].
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheOutcome {
    /// The module was there.
    Found,
    /// It was compiled, and is there from now on.
    Kept,
    /// There was a file of its name that was not trusted. It was compiled, and the file
    /// replaced.
    Replaced(CacheError),
    /// It was compiled, and the folder can't be used.
    NotKept(CacheError),
}

impl Module {
    /// As [`Module::compile`], but looks into this folder first, and leaves the
    /// compiled code there. The folder is made if need be.
    ///
    /// Code of the folder is run unchecked. So nothing of it is used unless folder and
    /// file belong to this process's user or root, and nobody else may write to them.
    /// What was compiled by another version or with other settings, such as for another
    /// architecture, has another name.
    ///
    /// A folder that can't be used costs time only: the [`CacheOutcome`] says why.
    ///
    /// # Errors
    /// As [`Module::compile`].
    pub fn from_cache(
        engine: &Engine,
        wasm: &[u8],
        folder: &Path,
    ) -> Result<(Module, CacheOutcome), LoadError> {
        let key = key(engine, wasm);
        let opened = Folder::open(folder);
        let found = opened.as_ref().map(|folder| load(engine, folder, &key));
        let distrusted = match found {
            Ok(Ok(Some(found))) => {
                return Ok((Module::link(engine, &found)?, CacheOutcome::Found));
            }
            Ok(Ok(None)) | Err(_) => None,
            Ok(Err(error)) => Some(error),
        };
        let module = Module::parse(engine, wasm)?;
        let kept = opened.and_then(|folder| match module.serialize() {
            Ok(code) => folder.write(&key.name(), &[key.seal(&code).as_ref(), &code]),
            Err(error) => Err(folder.spoilt(&key.name(), format!("{error:#}"))),
        });
        let outcome = match (kept, distrusted) {
            (Ok(()), None) => CacheOutcome::Kept,
            (Ok(()), Some(error)) => CacheOutcome::Replaced(error),
            (Err(error), _) => CacheOutcome::NotKept(error),
        };
        Ok((Module::link(engine, &module)?, outcome))
    }

    /// As [`Module::from_cache`], for those who don't ask whether the folder was of use.
    ///
    /// # Errors
    /// As [`Module::compile`].
    pub fn cached(engine: &Engine, wasm: &[u8], folder: &Path) -> Result<Module, LoadError> {
        Module::from_cache(engine, wasm, folder).map(|(module, _)| module)
    }
}

/// The compiled module of this key, if it is there.
fn load(
    engine: &Engine,
    folder: &Folder,
    key: &Key,
) -> Result<Option<wasmtime::Module>, CacheError> {
    let name = key.name();
    let Some(file) = folder.read(&name)? else {
        return Ok(None);
    };
    let Some((seal, code)) = file.split_at_checked(digest::SHA256_OUTPUT_LEN) else {
        return Err(folder.spoilt(&name, "it is cut short"));
    };
    if seal != key.seal(code).as_ref() {
        return Err(folder.spoilt(&name, "it is damaged"));
    }
    // SAFETY: only this process's user and root can have written the file; its digest
    // shows that it holds what `from_cache` wrote under this key, whole: code for an
    // engine of the same version and settings.
    let module = unsafe { wasmtime::Module::deserialize(engine.wasm(), code) };
    match module {
        Ok(module) => Ok(Some(module)),
        Err(error) => Err(folder.spoilt(&name, format!("{error:#}"))),
    }
}

/// SHA-256 of the compiler's version and settings and of the module.
struct Key(digest::Digest);

fn key(engine: &Engine, wasm: &[u8]) -> Key {
    let mut hasher = Sha256Hasher(digest::Context::new(&digest::SHA256));
    let settings = engine.wasm().precompile_compatibility_hash();
    settings.hash(&mut hasher);
    hasher.0.update(wasm);
    Key(hasher.0.finish())
}

impl Key {
    /// The file's name.
    fn name(&self) -> String {
        let hex = |name, byte| format!("{name}{byte:02x}");
        self.0.as_ref().iter().fold(String::new(), hex) + "." + EXTENSION
    }

    /// What the file begins with: a digest of the rest, which holds for this key only.
    fn seal(&self, code: &[u8]) -> digest::Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.0.as_ref());
        context.update(code);
        context.finish()
    }
}

/// Feeds SHA-256 with what implements [`Hash`](std::hash::Hash).
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

#[cfg(test)]
mod tests;

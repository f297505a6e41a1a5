//! Guests: loaded, built and compiled once.

pub(crate) mod build;
pub(crate) mod find;
mod folder;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use proxy_wasm_engine::{Engine, LoadError, Module};

/// A guest's module, binary or text. Cheap to clone.
#[derive(Clone)]
pub struct Guest {
    wasm: Arc<[u8]>,
    path: Option<PathBuf>,
}

impl Guest {
    /// Reads a `.wasm` or `.wat` file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn file(path: impl AsRef<Path>) -> std::io::Result<Guest> {
        let path = path.as_ref();
        Ok(Guest {
            wasm: std::fs::read(path)?.into(),
            path: Some(path.to_owned()),
        })
    }

    /// Where the `.wasm` is, if it is a file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The module's bytes.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// Compiles it, once per process; the target folder keeps it for the next.
    pub(crate) fn compile(&self) -> Result<Module, LoadError> {
        static ENGINE: LazyLock<Result<Engine, String>> =
            LazyLock::new(|| Engine::new().map_err(|error| error.to_string()));
        type Slot = Arc<Mutex<Option<Module>>>;
        static MODULES: LazyLock<Mutex<HashMap<Arc<[u8]>, Slot>>> = LazyLock::new(Mutex::default);

        let engine = ENGINE
            .as_ref()
            .map_err(|error| LoadError::Engine(error.clone()))?;
        // Held for a moment only, so that different guests compile side by side.
        let slot = {
            let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
            modules.entry(self.wasm.clone()).or_default().clone()
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = &*slot {
            return Ok(module.clone());
        }
        let module = match folder::target() {
            Some(target) => Module::cached(engine, &self.wasm, &target.join("modules"))?,
            None => Module::compile(engine, &self.wasm)?,
        };
        *slot = Some(module.clone());
        Ok(module)
    }
}

impl From<Vec<u8>> for Guest {
    fn from(wasm: Vec<u8>) -> Guest {
        Guest {
            wasm: wasm.into(),
            path: None,
        }
    }
}

impl From<&[u8]> for Guest {
    fn from(wasm: &[u8]) -> Guest {
        wasm.to_vec().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Guest {
    fn from(wasm: &[u8; N]) -> Guest {
        wasm.to_vec().into()
    }
}

/// The text form: `(module ...)`.
impl From<&str> for Guest {
    fn from(wat: &str) -> Guest {
        wat.as_bytes().into()
    }
}

impl From<&Guest> for Guest {
    fn from(guest: &Guest) -> Guest {
        guest.clone()
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guest({} bytes", self.wasm.len())?;
        if let Some(path) = &self.path {
            write!(f, " of {}", path.display())?;
        }
        f.write_str(")")
    }
}

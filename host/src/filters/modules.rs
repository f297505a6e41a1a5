//! Compiled modules, kept from one plan to the next, and from one process to the next.

use std::path::PathBuf;

use proxy_wasm_engine::{CacheOutcome, Engine, LoadError, Module};
use tracing::{debug, warn};

/// Compiles each module once: a reload takes those that have not changed, and the
/// workers before it and after it share their code.
#[derive(Default)]
pub(crate) struct Modules {
    /// Where compiled modules of earlier processes are; `None`: nowhere.
    cache: Option<Cache>,
    /// Made with the first module: a host without filters needs no compiler, and no
    /// thread for its clock.
    engine: Option<Engine>,
    compiled: Vec<Compiled>,
}

struct Cache {
    folder: PathBuf,
    /// Whether the log says that nothing can be kept there.
    is_reported: bool,
}

struct Compiled {
    code: Vec<u8>,
    module: Module,
    /// Asked for since [`Modules::forget_unused`].
    used: bool,
}

impl Modules {
    /// Keeps compiled modules in this folder, too.
    pub(crate) fn new(cache: Option<PathBuf>) -> Modules {
        let cache = cache.map(|folder| Cache {
            folder,
            is_reported: false,
        });
        Modules {
            cache,
            ..Modules::default()
        }
    }

    /// The module of this code.
    ///
    /// # Errors
    /// When it does not compile, or this machine can't run compiled modules at all.
    pub(super) fn get(&mut self, code: &[u8]) -> Result<Module, LoadError> {
        if let Some(known) = self.compiled.iter_mut().find(|known| known.code == code) {
            known.used = true;
            return Ok(known.module.clone());
        }
        let engine = match &mut self.engine {
            Some(engine) => engine,
            none => none.insert(Engine::new()?),
        };
        let module = load(engine, code, &mut self.cache)?;
        self.compiled.push(Compiled {
            code: code.to_owned(),
            module: module.clone(),
            used: true,
        });
        Ok(module)
    }

    /// Forgets what no plan asked for since the last time.
    pub(crate) fn forget_unused(&mut self) {
        self.compiled
            .retain_mut(|known| std::mem::take(&mut known.used));
    }
}

/// Finds the module in the folder or compiles it.
fn load(engine: &Engine, code: &[u8], cache: &mut Option<Cache>) -> Result<Module, LoadError> {
    let Some(cache) = cache else {
        debug!("no folder is known for compiled modules");
        return Module::compile(engine, code);
    };
    let (module, outcome) = Module::from_cache(engine, code, &cache.folder)?;
    match outcome {
        CacheOutcome::Replaced(reason) => {
            warn!("a compiled module is not used but replaced: {reason}");
        }
        CacheOutcome::NotKept(reason) => {
            if !std::mem::replace(&mut cache.is_reported, true) {
                warn!(
                    "no compiled modules are kept, so that each start takes longer: {reason}; \
                     DTR_LB_CACHE_DIR can name another folder, or none"
                );
            }
        }
        outcome => debug!("a module in {}: {outcome:?}", cache.folder.display()),
    }
    Ok(module)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::captured_log::CapturedLog;

    #[test]
    fn what_the_last_plan_asked_for_is_not_compiled_again() {
        let code = |version: &str| {
            format!(r#"(module (func (export "proxy_abi_version_{version}")))"#).into_bytes()
        };
        let mut modules = Modules::default();
        let known = |modules: &Modules| modules.compiled.len();
        modules.get(&code("0_2_0")).unwrap();
        modules.get(&code("0_2_1")).unwrap();
        modules.forget_unused();
        assert_eq!(known(&modules), 2);
        modules.get(&code("0_2_1")).unwrap();
        assert_eq!(known(&modules), 2, "it was there");
        assert!(modules.get(b"(module)").is_err());
        modules.forget_unused();
        assert_eq!(known(&modules), 1, "the other is gone");
    }

    #[test]
    fn a_module_is_kept_for_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let file_after_a_start = || {
            let mut modules = Modules::new(Some(folder.path().to_owned()));
            modules.get(GUEST).unwrap();
            let mut files = std::fs::read_dir(folder.path()).unwrap();
            let file = files.next().unwrap().unwrap();
            assert!(files.next().is_none(), "one file");
            file.metadata().unwrap().ino()
        };
        let written = file_after_a_start();
        assert_eq!(file_after_a_start(), written, "it is not written again");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_used_and_one_warning_says_so() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let mut modules = Modules::new(Some(folder.path().to_owned()));
        let (log, _guard) = CapturedLog::start();
        modules.get(GUEST).unwrap();
        modules.get(OTHER_GUEST).unwrap();
        let log = log.text();
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        for expected in ["(mode 0777)", "chmod go-w", "DTR_LB_CACHE_DIR"] {
            assert!(log.contains(expected), "{log}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    const GUEST: &[u8] = br#"(module (func (export "proxy_abi_version_0_2_1")))"#;
    const OTHER_GUEST: &[u8] = br#"(module (func (export "proxy_abi_version_0_2_0")))"#;
}

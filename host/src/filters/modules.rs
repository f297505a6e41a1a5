//! Compiled modules, kept from one plan to the next.

use proxy_wasm_engine::{Engine, LoadError, Module};

/// Compiles each module once: a reload takes those that have not changed, and the
/// workers before it and after it share their code.
#[derive(Default)]
pub(crate) struct Modules {
    /// Made with the first module: a host without filters needs no compiler, and no
    /// thread for its clock.
    engine: Option<Engine>,
    compiled: Vec<Compiled>,
}

struct Compiled {
    code: Vec<u8>,
    module: Module,
    /// Asked for since [`Modules::forget_unused`].
    used: bool,
}

impl Modules {
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
        let module = Module::compile(engine, code)?;
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

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
}

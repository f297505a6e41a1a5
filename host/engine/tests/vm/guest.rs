//! Guests for tests, assembled from lists of host calls.
//!
//! A guest does its calls in order and keeps of each its status, the numbers the
//! host wrote, and the bytes those point at, in shared data, where the test finds them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use proxy_wasm_engine::{
    ContextId, Engine, LoadError, Module, Plugin, Shared, StartError, Vm, VmConfig,
};

use crate::abi::{CALLBACKS, import};
use crate::run::Run;

/// An argument of a host call.
#[derive(Clone)]
pub(crate) enum Arg {
    /// A number of 32 bits.
    N(i64),
    /// A number of 64 bits.
    L(i64),
    /// Bytes: becomes address and length.
    S(Vec<u8>),
}

pub(crate) use Arg::{L, N};

/// Bytes as an argument.
pub(crate) fn s(bytes: impl AsRef<[u8]>) -> Arg {
    Arg::S(bytes.as_ref().to_vec())
}

/// Addresses for the first, second and third number a host function writes.
pub(crate) const R1: Arg = Arg::N(16);
pub(crate) const R2: Arg = Arg::N(20);
pub(crate) const R3: Arg = Arg::N(24);

/// One host call.
#[derive(Clone)]
pub(crate) struct Step {
    function: &'static str,
    args: Vec<Arg>,
}

/// One host call.
pub(crate) fn call(function: &'static str, args: impl IntoIterator<Item = Arg>) -> Step {
    Step {
        function,
        args: args.into_iter().collect(),
    }
}

/// A guest in the making.
#[derive(Clone)]
pub(crate) struct Guest {
    callbacks: Vec<(&'static str, Vec<Step>, u32)>,
    marker: &'static str,
    imports: Vec<&'static str>,
    extra: String,
    pub(crate) config: VmConfig,
}

impl Guest {
    pub(crate) fn new() -> Guest {
        let plugin = Plugin {
            name: "test".into(),
            root_id: "root".into(),
            configuration: b"plugin configuration".to_vec(),
        };
        Guest {
            callbacks: Vec::new(),
            marker: "proxy_abi_version_0_2_1",
            imports: Vec::new(),
            extra: String::new(),
            config: VmConfig {
                vm_id: "vm".into(),
                configuration: b"vm configuration".to_vec(),
                plugins: vec![plugin],
                ..VmConfig::default()
            },
        }
    }

    /// Calls done in a callback, which returns 1 where that says "yes", and 0 else.
    pub(crate) fn on(self, callback: &'static str, steps: impl IntoIterator<Item = Step>) -> Guest {
        let yes = ["proxy_on_vm_start", "proxy_on_configure", "proxy_on_done"];
        let answer = u32::from(yes.contains(&callback));
        self.answering(callback, steps, answer)
    }

    pub(crate) fn answering(
        mut self,
        callback: &'static str,
        steps: impl IntoIterator<Item = Step>,
        answer: u32,
    ) -> Guest {
        self.callbacks
            .push((callback, steps.into_iter().collect(), answer));
        self
    }

    pub(crate) fn marker(mut self, marker: &'static str) -> Guest {
        self.marker = marker;
        self
    }

    /// A host function that only the text uses.
    pub(crate) fn importing(mut self, function: &'static str) -> Guest {
        self.imports.push(function);
        self
    }

    /// More of the module, as text.
    pub(crate) fn with(mut self, wat: &str) -> Guest {
        self.extra.push_str(wat);
        self
    }

    pub(crate) fn config(mut self, change: impl FnOnce(&mut VmConfig)) -> Guest {
        change(&mut self.config);
        self
    }

    pub(crate) fn wat(&self) -> String {
        let mut data = Vec::new();
        let mut bodies = String::new();
        let mut imports: BTreeSet<&str> = BTreeSet::from(["proxy_set_shared_data"]);
        imports.extend(&self.imports);
        let mut index = 0;
        for (callback, steps, answer) in &self.callbacks {
            let (params, result) = callback_shape(callback);
            let params = "(param i32)".repeat(params);
            let result_type = if result { "(result i32)" } else { "" };
            writeln!(
                bodies,
                "(func (export \"{callback}\") {params} {result_type}"
            )
            .unwrap();
            for step in steps {
                imports.insert(step.function);
                bodies.push_str("(memory.fill (i32.const 16) (i32.const 0) (i32.const 28))\n");
                write!(bodies, "(i32.store (i32.const 40) (call ${}", step.function).unwrap();
                for arg in &step.args {
                    match arg {
                        N(number) => write!(bodies, " (i32.const {})", *number as i32),
                        L(number) => write!(bodies, " (i64.const {number})"),
                        Arg::S(bytes) => {
                            let at = DATA + data.len();
                            data.extend_from_slice(bytes);
                            write!(bodies, " (i32.const {at}) (i32.const {})", bytes.len())
                        }
                    }
                    .unwrap();
                }
                writeln!(bodies, "))\n(call $report (i32.const {index}))").unwrap();
                index += 1;
            }
            if result {
                writeln!(bodies, "(i32.const {answer})").unwrap();
            }
            bodies.push_str(")\n");
        }
        let imports: String = imports.iter().map(|name| import(name)).collect();
        let data: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let marker = self.marker;
        let extra = &self.extra;
        let malloc = if extra.contains("\"malloc\"") || extra.contains("no allocator") {
            ""
        } else {
            MALLOC
        };
        format!(
            r#"(module {imports}
            (memory (export "memory") 4)
            (data (i32.const {DATA}) "{data}")
            (func (export "{marker}"))
            {malloc}
            (func $report (param $index i32)
                (i32.store8 (i32.const 8) (i32.add (local.get $index) (i32.const 0)))
                (i32.store8 (i32.const 9) (i32.const 0x73))
                (drop (call $proxy_set_shared_data
                    (i32.const 8) (i32.const 2) (i32.const 16) (i32.const 28) (i32.const 0)))
                (i32.store8 (i32.const 9) (i32.const 0x62))
                (if (i32.eqz (i32.load (i32.const 40))) (then
                    (drop (call $proxy_set_shared_data (i32.const 8) (i32.const 2)
                        (i32.load (i32.const 16)) (i32.load (i32.const 20)) (i32.const 0))))))
            {bodies} {extra})"#
        )
    }

    pub(crate) fn compile(&self) -> Result<Module, LoadError> {
        Module::compile(&ENGINE, self.wat().as_bytes())
    }

    /// Starts it beside others that share `shared`. The clusters `ping/r1` and
    /// `443/r1` exist.
    pub(crate) fn start_in(&self, shared: &Shared) -> Result<Run, StartError> {
        let module = self.compile()?;
        let clusters = |name: &str| name == "ping/r1" || name == "443/r1";
        let vm = Vm::start(&module, &self.config, shared, Arc::new(clusters))?;
        let vm_id = self.config.vm_id.clone();
        let root = vm.root("root").unwrap_or(ContextId(0));
        Ok(Run {
            vm,
            shared: shared.clone(),
            vm_id,
            root,
        })
    }

    pub(crate) fn try_start(&self) -> Result<Run, StartError> {
        self.start_in(&Shared::new())
    }

    #[track_caller]
    pub(crate) fn start(&self) -> Run {
        match self.try_start() {
            Ok(run) => run,
            Err(error) => panic!("the guest does not start: {error}"),
        }
    }

    /// Does the calls in `proxy_on_tick`.
    #[track_caller]
    pub(crate) fn ticking(steps: impl IntoIterator<Item = Step>) -> Run {
        let mut run = Guest::new().on("proxy_on_tick", steps).start();
        run.tick().unwrap();
        run
    }
}

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

/// Number of parameters of a callback, and whether it has a result.
fn callback_shape(name: &str) -> (usize, bool) {
    let known = CALLBACKS.iter().find(|(known, ..)| *known == name);
    known.map_or_else(
        || panic!("no shape known of {name}"),
        |(_, parameters, result)| (*parameters, *result),
    )
}

/// Gives out memory and takes none back.
const MALLOC: &str = r#"
    (global $free (mut i32) (i32.const 65536))
    (func (export "malloc") (param $size i32) (result i32)
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get $size))))
"#;

/// Where the bytes of arguments start.
const DATA: usize = 1024;

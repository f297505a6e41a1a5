//! Guests for tests, assembled from lists of host calls.
//!
//! A guest does its calls in order and keeps of each its status, the words it
//! was given back, and the bytes those words point at, in shared data, where the
//! test finds them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use proxy_wasm_engine::{
    ContextId, Effect, Engine, LoadError, Module, Plugin, Shared, StartError, Trap, Vm, VmConfig,
};

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

/// Where a guest lets itself be told the first, second ... word.
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

/// What came of one host call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: u32,
    /// The words at R1, R2, ...
    pub(crate) words: [u32; 6],
    /// The bytes at R1, as many as R2 says.
    pub(crate) bytes: Vec<u8>,
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

/// A guest at work.
pub(crate) struct Run {
    pub(crate) vm: Vm,
    pub(crate) shared: Shared,
    vm_id: String,
    pub(crate) root: ContextId,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a guest at work")
    }
}

impl Run {
    pub(crate) fn tick(&mut self) -> Result<(), Trap> {
        self.vm.tick(self.root)
    }

    /// What came of the call of this number, counted over all callbacks.
    #[track_caller]
    pub(crate) fn outcome(&self, index: u8) -> Outcome {
        let raw = self
            .shared
            .data(&self.vm_id, &[index, b's'])
            .expect("the call was done");
        let word = |at: usize| u32::from_le_bytes(raw[at..at + 4].try_into().unwrap());
        Outcome {
            status: word(24),
            words: [word(0), word(4), word(8), word(12), word(16), word(20)],
            bytes: self
                .shared
                .data(&self.vm_id, &[index, b'b'])
                .unwrap_or_default(),
        }
    }

    pub(crate) fn done(&self, index: u8) -> bool {
        self.shared.data(&self.vm_id, &[index, b's']).is_some()
    }

    pub(crate) fn statuses(&self, count: u8) -> Vec<u32> {
        (0..count).map(|index| self.outcome(index).status).collect()
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.vm.next_effect()).collect()
    }
}

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());

/// Number of parameters, and whether there is a result.
fn callback_shape(name: &str) -> (usize, bool) {
    match name {
        "_initialize" | "_start" => (0, false),
        "main" => (2, true),
        "proxy_on_context_create" | "proxy_on_queue_ready" => (2, false),
        "proxy_on_downstream_connection_close" | "proxy_on_upstream_connection_close" => (2, false),
        "proxy_on_vm_start" | "proxy_on_configure" | "proxy_validate_configuration" => (2, true),
        "proxy_on_new_connection" | "proxy_on_done" => (1, true),
        "proxy_on_tick" | "proxy_on_log" | "proxy_on_delete" => (1, false),
        "proxy_on_request_trailers" | "proxy_on_response_trailers" => (2, true),
        "proxy_on_http_call_response" => (5, false),
        "proxy_on_foreign_function" | "proxy_on_grpc_close" | "proxy_on_grpc_receive" => (3, false),
        "proxy_on_grpc_receive_initial_metadata" | "proxy_on_grpc_receive_trailing_metadata" => {
            (3, false)
        }
        _ => (3, true),
    }
}

fn import(name: &str) -> String {
    let (module, params) = IMPORTS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or_else(
            || panic!("no shape known of {name}"),
            |(_, params)| ("env", *params),
        );
    let module = if name.starts_with("proxy_") {
        module
    } else {
        "wasi_snapshot_preview1"
    };
    let params: String = params
        .chars()
        .map(|kind| if kind == 'l' { " i64" } else { " i32" })
        .collect();
    format!("(import \"{module}\" \"{name}\" (func ${name} (param{params}) (result i32)))\n")
}

/// Host functions and their parameters: i 32 bits, l 64 bits.
pub(crate) const IMPORTS: &[(&str, &str)] = &[
    ("proxy_log", "iii"),
    ("proxy_get_log_level", "i"),
    ("proxy_get_current_time_nanoseconds", "i"),
    ("proxy_set_tick_period_milliseconds", "i"),
    ("proxy_get_status", "iii"),
    ("proxy_get_configuration", "ii"),
    ("proxy_get_buffer_bytes", "iiiii"),
    ("proxy_get_buffer_status", "iii"),
    ("proxy_set_buffer_bytes", "iiiii"),
    ("proxy_get_header_map_size", "ii"),
    ("proxy_get_header_map_pairs", "iii"),
    ("proxy_set_header_map_pairs", "iii"),
    ("proxy_get_header_map_value", "iiiii"),
    ("proxy_add_header_map_value", "iiiii"),
    ("proxy_replace_header_map_value", "iiiii"),
    ("proxy_remove_header_map_value", "iii"),
    ("proxy_continue_stream", "i"),
    ("proxy_close_stream", "i"),
    ("proxy_continue_request", ""),
    ("proxy_continue_response", ""),
    ("proxy_clear_route_cache", ""),
    ("proxy_send_local_response", "iiiiiiii"),
    ("proxy_http_call", "iiiiiiiiii"),
    ("proxy_grpc_call", "iiiiiiiiiiii"),
    ("proxy_grpc_stream", "iiiiiiiii"),
    ("proxy_grpc_send", "iiii"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_grpc_close", "i"),
    ("proxy_get_shared_data", "iiiii"),
    ("proxy_set_shared_data", "iiiii"),
    ("proxy_register_shared_queue", "iii"),
    ("proxy_resolve_shared_queue", "iiiii"),
    ("proxy_enqueue_shared_queue", "iii"),
    ("proxy_dequeue_shared_queue", "iii"),
    ("proxy_define_metric", "iiii"),
    ("proxy_increment_metric", "il"),
    ("proxy_record_metric", "il"),
    ("proxy_get_metric", "ii"),
    ("proxy_get_property", "iiii"),
    ("proxy_set_property", "iiii"),
    ("proxy_set_effective_context", "i"),
    ("proxy_done", ""),
    ("proxy_call_foreign_function", "iiiiii"),
    ("args_sizes_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_time_get", "ili"),
    ("clock_res_get", "ii"),
    ("random_get", "ii"),
    ("fd_write", "iiii"),
    ("fd_fdstat_get", "ii"),
    ("fd_read", "iiii"),
    ("fd_prestat_get", "ii"),
    ("fd_readdir", "iiili"),
    ("path_open", "iiiiillii"),
    ("path_unlink_file", "iii"),
    ("sock_send", "iiiii"),
    ("sched_yield", ""),
    ("poll_oneoff", "iiii"),
    ("a_name_of_no_wasi", "i"),
];

/// Gives out memory and takes none back.
const MALLOC: &str = r#"
    (global $free (mut i32) (i32.const 65536))
    (func (export "malloc") (param $size i32) (result i32)
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get $size))))
"#;

/// Where the bytes of arguments start.
const DATA: usize = 1024;

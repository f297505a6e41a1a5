//! VMs on several threads of one process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use proxy_wasm_engine::{Environment, Shared, Vm};

use crate::guest::{Guest, L, N, R1, R2, R3, call, s};

#[test]
fn vms_on_many_threads_count_together_and_swap_one_at_a_time() {
    const THREADS: u32 = 4;
    const TICKS: u32 = 500;
    let shared = Shared::new();
    // Metric 1 is a counter: 1 << 2.
    let guest = Guest::new()
        .on(
            "proxy_on_configure",
            [call("proxy_define_metric", [N(0), s("ticks"), R1])],
        )
        .on(
            "proxy_on_tick",
            [
                call("proxy_increment_metric", [N(4), L(1)]),
                call("proxy_get_shared_data", [s("k"), R1, R2, R3]),
                call("proxy_set_shared_data", [s("k"), s("v"), N(0)]),
            ],
        );
    let module = guest.compile().unwrap();
    std::thread::scope(|scope| {
        for index in 0..THREADS {
            let (module, shared) = (&module, &shared);
            let mut config = guest.config.clone();
            // Their own notes apart, the metric together.
            config.vm_id = format!("vm {index}");
            scope.spawn(move || {
                let no_clusters = Arc::new(|_: &str| false);
                let mut vm = Vm::start(module, &config, shared, no_clusters).unwrap();
                let root = vm.root("root").unwrap();
                for _ in 0..TICKS {
                    vm.tick(root).unwrap();
                }
            });
        }
    });
    assert_eq!(shared.metric("ticks"), Some(u64::from(THREADS * TICKS)));
}

/// Counts the calls of `wake` and reports each through a channel.
struct Bell {
    rung: AtomicUsize,
    line: mpsc::Sender<()>,
}

impl Environment for Bell {
    fn has_cluster(&self, _: &str) -> bool {
        false
    }

    fn wake(&self) {
        self.rung.fetch_add(1, Ordering::Relaxed);
        let _ = self.line.send(());
    }
}

#[test]
fn an_item_from_another_thread_wakes_the_reader() {
    let shared = Shared::new();
    let reader = Guest::new()
        .on(
            "proxy_on_configure",
            [call("proxy_register_shared_queue", [s("q"), R1])],
        )
        .on(
            "proxy_on_queue_ready",
            [call("proxy_dequeue_shared_queue", [N(1), R1, R2])],
        );
    let (line, heard) = mpsc::channel();
    let bell = Arc::new(Bell {
        rung: AtomicUsize::new(0),
        line,
    });
    let module = reader.compile().unwrap();
    let mut vm = Vm::start(&module, &reader.config, &shared, bell.clone()).unwrap();
    let other = shared.clone();
    let writer = std::thread::spawn(move || {
        let enqueue = call("proxy_enqueue_shared_queue", [N(1), s("from afar")]);
        let writer = Guest::new().config(|config| config.vm_id = "writer".into());
        writer
            .on("proxy_on_tick", [enqueue])
            .start_in(&other)
            .unwrap()
            .tick()
            .unwrap();
    });
    heard
        .recv_timeout(std::time::Duration::from_secs(10))
        .expect("the bell rings");
    vm.deliver().unwrap();
    writer.join().unwrap();
    assert_eq!(bell.rung.load(Ordering::Relaxed), 1);
    assert_eq!(
        shared.data("vm", &[1, b'b']).as_deref(),
        Some(&b"from afar"[..])
    );

    // A reader that is gone does not hold the writer up.
    drop(vm);
    let enqueue = call("proxy_enqueue_shared_queue", [N(1), s("to nobody")]);
    let writer = Guest::new().config(|config| config.vm_id = "writer".into());
    let mut writer = writer
        .on("proxy_on_tick", [enqueue])
        .start_in(&shared)
        .unwrap();
    writer.tick().unwrap();
    assert_eq!(writer.outcome(0).status, 0);
    assert_eq!(bell.rung.load(Ordering::Relaxed), 1);
}

#[test]
fn what_a_guest_leaves_itself_while_it_is_called_waits_for_the_next_time() {
    let shared = Shared::new();
    let (line, _heard) = mpsc::channel();
    let bell = Arc::new(Bell {
        rung: AtomicUsize::new(0),
        line,
    });
    let enqueue = call("proxy_enqueue_shared_queue", [N(1), s("again")]);
    let register = call("proxy_register_shared_queue", [s("q"), R1]);
    let guest = Guest::new()
        .on(
            "proxy_on_tick",
            [register, enqueue.clone(), enqueue.clone()],
        )
        .on("proxy_on_queue_ready", [enqueue]);
    let module = guest.compile().unwrap();
    let mut vm = Vm::start(&module, &guest.config, &shared, bell.clone()).unwrap();
    let root = vm.roots()[0];
    vm.tick(root).unwrap();
    // Two items wait, so there are two calls each time, and the bell rings for what
    // they leave.
    for rung in [2, 4, 6] {
        assert_eq!(bell.rung.load(Ordering::Relaxed), rung);
        vm.deliver().unwrap();
    }
}

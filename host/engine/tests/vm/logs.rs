//! What guests log, and how much of it.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use proxy_wasm_engine::{Environment, Shared, Vm};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::guest::{Guest, N, R1, Step, call, s};

/// Collects the guests' lines, for all tests of the process: subscribers that come
/// and go while other threads log miss lines now and then.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(String, String)>>>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "guest"
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!(
            "{} {}: {}",
            event.metadata().level(),
            line.plugin,
            line.text
        );
        self.0.lock().unwrap().push((line.vm, text));
    }
}

static LINES: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    lines
});

/// Lines of the VMs of this id, as `LEVEL plugin: text`.
fn logged(vm_id: &str, run: impl FnOnce()) -> Vec<String> {
    let lines = LINES.clone();
    run();
    let mut lines = lines.0.lock().unwrap();
    lines
        .extract_if(.., |(vm, _)| vm == vm_id)
        .map(|(_, text)| text)
        .collect()
}

/// Does the calls in a tick of a VM of this id, and collects its lines.
fn lines_of(vm_id: &str, steps: impl IntoIterator<Item = Step>) -> Vec<String> {
    let guest = Guest::new().config(|config| config.vm_id = vm_id.to_owned());
    let guest = guest.on("proxy_on_tick", steps);
    logged(vm_id, || guest.start().tick().unwrap())
}

#[derive(Default)]
struct Line {
    vm: String,
    plugin: String,
    text: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.text = format!("{value:?}"),
            "vm" => self.vm = format!("{value:?}").trim_matches('"').to_owned(),
            "plugin" => self.plugin = format!("{value:?}").trim_matches('"').to_owned(),
            _ => {}
        }
    }
}

#[test]
fn lines_name_the_vm_and_the_plugin_and_keep_their_level() {
    let steps = (0..6).map(|level| call("proxy_log", [N(level), s(format!("line {level}"))]));
    let lines = lines_of("levels", steps);
    let expected = [
        "TRACE test: line 0",
        "DEBUG test: line 1",
        "INFO test: line 2",
        "WARN test: line 3",
        "ERROR test: line 4",
        "ERROR test: line 5",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_wasi_writes_is_a_line() {
    // The first argument lies at 1024 and holds where and how long the text is.
    let mut piece = [1032u32.to_le_bytes(), 6u32.to_le_bytes()].concat();
    piece.extend(b"hello\n");
    let steps = [
        call("proxy_log", [N(0), s(&piece)]),
        call("fd_write", [N(1), N(1024), N(1), R1]),
        call("fd_write", [N(2), N(1024), N(1), R1]),
    ];
    let lines = lines_of("wasi", steps);
    assert_eq!(lines[1..], ["INFO test: hello", "ERROR test: hello"]);
}

#[test]
fn a_line_has_an_end() {
    let long = "x".repeat(100_000);
    let lines = lines_of("long", [call("proxy_log", [N(2), s(long)])]);
    assert_eq!(lines[0].len(), "INFO test: ".len() + 65_536);
}

/// A place whose clock a test moves.
#[derive(Default)]
struct Hand(Mutex<Duration>);

impl Environment for Hand {
    fn has_cluster(&self, _: &str) -> bool {
        false
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

#[test]
fn a_guest_that_logs_too_much_is_heard_a_part_of_the_time() {
    let line = call("proxy_log", [N(2), s("again")]);
    let guest = Guest::new()
        .on("proxy_on_tick", [line.clone(), line.clone(), line])
        .config(|config| {
            config.vm_id = "talkative".into();
            config.log_limit = Some(2);
        });
    let module = guest.compile().unwrap();
    let hand = Arc::new(Hand::default());
    let mut vm = Vm::start(&module, &guest.config, &Shared::new(), hand.clone()).unwrap();
    let root = vm.root("root").unwrap();
    let again = "INFO test: again";
    assert_eq!(
        logged("talkative", || vm.tick(root).unwrap()),
        [again, again]
    );
    assert_eq!(logged("talkative", || vm.tick(root).unwrap()), [""; 0]);
    *hand.0.lock().unwrap() += Duration::from_secs(1);
    let lines = logged("talkative", || vm.tick(root).unwrap());
    assert_eq!(
        lines,
        [
            "WARN test: 4 lines dropped: over the log limit",
            again,
            again
        ]
    );
}

#[test]
fn a_guest_learns_which_lines_are_heard() {
    LazyLock::force(&LINES);
    let run = Guest::ticking([call("proxy_get_log_level", [R1])]);
    assert_eq!(run.outcome(0).words[0], 0, "all of them");
}

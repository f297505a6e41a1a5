//! The program as a shell sees it: what it prints, and how it exits.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

fn dtr_lb(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dtr-lb"));
    command.args(arguments).env_remove("DTR_LB_LOG");
    command
}

fn output(arguments: &[&str]) -> Output {
    dtr_lb(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_configuration_exits_with_2_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.json");
    std::fs::write(
        &file,
        r#"{ "fqdn": "dtr.example.com", "replicas": [{ "address": "10.0.0.1", "weight": 0 }] }"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let out = folder.path().join("out");
    let envoy = ["envoy", "--config", file, "--out", out.to_str().unwrap()];
    for arguments in [
        &["check", "--config", file][..],
        &["run", "--config", file],
        &envoy,
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        let expected = format!("error: {file}: replicas[0].weight is 0; expected a whole number");
        assert!(said.starts_with(&expected), "{arguments:?}: {said}");
    }
    assert!(
        !out.exists(),
        "a refused configuration leaves nothing behind"
    );
}

#[test]
fn flags_that_are_missing_or_contradict_each_other_exit_with_2() {
    let cases = [
        (&["run"][..], "--fqdn"),
        (&["run", "--fqdn", "dtr.example.com"], "--replica"),
        (
            &["run", "--config", "lb.json", "--policy", "round-robin"],
            "cannot be used with",
        ),
        (&["check", "--config", "/no/such/lb.json"], "can't be read"),
    ];
    for (arguments, expected) in cases {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_port_in_use_exits_with_1_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = format!("{address}=443");
    let flags = [
        "run",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "127.0.0.1",
        "--listen",
        &listen,
    ];
    let output = output(&flags);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains(&format!("can't listen on {address}: ")),
        "{said}"
    );
    assert!(said.contains("choose a free address"), "{said}");
    let once = said.matches("in use").count() == 1;
    assert!(once, "the cause is said more than once: {said}");
}

#[test]
fn a_right_configuration_is_confirmed() {
    let flags = [
        "check",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
    ];
    let output = output(&flags);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.starts_with("ok: dtr.example.com listens on 0.0.0.0:80"),
        "{said}"
    );
}

#[test]
fn the_envoy_bootstrap_names_the_filter_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let flags = [
        "envoy",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
        "--out",
    ];
    let output = output(&[&flags[..], &[out.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let module = std::fs::read(out.join("dtr_lb_filter.wasm")).unwrap();
    assert!(
        module == dtr_lb::FILTER,
        "another filter than the embedded one"
    );
    let yaml = std::fs::read_to_string(out.join("envoy.yaml")).unwrap();
    let path = out.join("dtr_lb_filter.wasm");
    assert!(
        yaml.contains(&format!("filename: {}", path.display())),
        "{yaml}"
    );
}

/// A guest with one callback of its own.
fn guest(callback: &str) -> String {
    format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "no license")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            {callback})"#
    )
}

#[test]
fn a_filter_that_cannot_be_loaded_is_named_with_the_reason() {
    let crash = "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
        (drop (call $log (i32.const 5) (i32.const 16) (i32.const 10))) unreachable)";
    let cases = [
        (
            "no module",
            "not wasm at all".to_owned(),
            "not a usable wasm module",
        ),
        (
            "no marker",
            "(module (memory (export \"memory\") 1))".to_owned(),
            "no proxy-wasm ABI marker",
        ),
        (
            "a missing import",
            guest("").replace("proxy_log", "proxy_sing"),
            "env.proxy_sing",
        ),
        (
            "a callback of another shape",
            guest("(func (export \"proxy_on_tick\") (param i64))"),
            "proxy_on_tick",
        ),
        (
            "no allocator",
            guest("").replace("malloc", "mallok"),
            "exports neither malloc nor proxy_on_memory_allocate",
        ),
        ("a crash", guest(crash), "last words: no license"),
        (
            "a refusal",
            guest(
                "(func (export \"proxy_on_configure\") (param i32 i32) (result i32) (i32.const 0))",
            ),
            "proxy_on_configure refused the configuration",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let well = folder.path().join("well.wat");
    std::fs::write(&well, guest("")).unwrap();
    for (why, module, expected) in cases {
        let sick = folder.path().join("sick.wat");
        std::fs::write(&sick, module).unwrap();
        let config = r#"{ "listeners": [{ "bind": "127.0.0.1:0", "cluster": "web" }],
            "clusters": [{ "name": "web", "endpoints": ["127.0.0.1:1"] }],
            "filters": [{ "wasm": "well.wat" }, { "wasm": "sick.wat", "name": "the sick one" }] }"#;
        let file = folder.path().join("chain.json");
        std::fs::write(&file, config).unwrap();
        let file = file.to_str().unwrap();
        let known = output(&["check", "--config", file]);
        assert_eq!(known.status.code(), Some(0), "{why}: it is not loaded");
        let tried = output(&["check", "--load", "--config", file]);
        let said = text(&tried.stderr);
        assert_eq!(tried.status.code(), Some(2), "{why}: {said}");
        let named = format!("filter \"the sick one\" ({}): ", sick.display());
        for part in [named.as_str(), expected, "well.wat): loaded and started"] {
            assert!(said.contains(part), "{why}: no {part:?} in {said}");
        }
        let run = output(&["run", "--config", file]);
        assert_eq!(run.status.code(), Some(1), "{why}");
        assert!(
            text(&run.stderr).contains(expected),
            "{why}: {}",
            text(&run.stderr)
        );
    }
}

#[test]
fn the_balancers_own_filter_is_loaded_as_well() {
    let flags = ["--fqdn", "dtr.example.com", "--replica", "10.0.0.1"];
    let output = output(&[&["check", "--load"][..], &flags].concat());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        said.contains("dtr-lb (built in): loaded and started"),
        "{said}"
    );
}

#[test]
fn a_chain_is_checked_like_any_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.wat"), guest("")).unwrap();
    let listener = r#""listeners": [{ "bind": "127.0.0.1:0", "cluster": "web" }]"#;
    let cluster = r#""clusters": [{ "name": "web", "endpoints": ["127.0.0.1:1"] }]"#;
    let with = |filter: &str| format!("{{ {listener}, {cluster}, \"filters\": [{filter}] }}");
    let cases = [
        (
            with(r#"{ "wasm": "y.wat" }"#),
            "filters[0].wasm is \"y.wat\"; can't be read",
        ),
        (
            with(r#"{ "wasm": "x.wat", "memory": "1KiB" }"#),
            "filters[0].memory is \"1KiB\"; expected a size in KiB, MiB or GiB",
        ),
        (
            with(r#"{ "wasm": "x.wat", "failure": "shut" }"#),
            "filters[0].failure is \"shut\"; expected one of reload, open, closed",
        ),
        (
            with(r#"{ "wasm": "x.wat", "rootid": "r" }"#),
            "unknown field \"rootid\" in filters[0]; did you mean \"root_id\"?",
        ),
        (
            format!(
                r#"{{ "listeners": [{{ "bind": "127.0.0.1:0", "cluster": "wed" }}], {cluster} }}"#
            ),
            "listeners[0].cluster is \"wed\"; no cluster has this name; known: web",
        ),
        (
            format!(
                r#"{{ {listener}, "clusters": [{{ "name": "web", "endpoints": ["10.0.0.1"] }}] }}"#
            ),
            "clusters[0].endpoints[0] is \"10.0.0.1\"; expected an address and a port",
        ),
        (
            format!(r#"{{ {listener}, "clusters": [] }}"#),
            "no cluster has this name; known: none",
        ),
        ("{ \"filters\": [] }".to_owned(), "listeners: missing"),
    ];
    for (config, expected) in cases {
        let file = folder.path().join("chain.json");
        std::fs::write(&file, &config).unwrap();
        let output = output(&["check", "--config", file.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{config}: {said}");
        assert!(
            said.contains(expected),
            "{config}\nno {expected:?} in {said}"
        );
    }
}

/// A program that is ended whatever happens.
struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success(), "{signal}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a request got which answer.
fn ask(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: dtr.example.com\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_demo_says_where_everything_is_and_ends_at_sigterm() {
    let ports = [
        "demo",
        "--http",
        "0",
        "--https",
        "0",
        "--admin",
        "0",
        "--control",
        "0",
    ];
    let mut demo = Running(
        dtr_lb(&ports)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let tour: Vec<String> = lines
        .by_ref()
        .map(Result::unwrap)
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    let address = |start: &str| {
        let line = tour.iter().find(|line| line.trim().starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start:?} in {tour:#?}"));
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split([' ', '/']).next().unwrap().to_owned()
    };

    let answer = ask(&address("balancer"), "GET /", "");
    assert!(answer.contains("x-replica: r"), "{answer}");
    let status = ask(&address("admin"), "GET /status", "");
    assert!(status.contains(r#""fqdn":"dtr.example.com""#), "{status}");
    let order = ask(&address("curl -sd gone"), "POST /r2", "gone");
    assert!(order.contains("r2 is gone"), "{order}");
    let refused = TcpStream::connect(address("replica r2"));
    assert!(refused.is_err(), "replica 2 still listens");
    for _ in 0..6 {
        let answer = ask(&address("balancer"), "GET /", "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(!answer.contains("x-replica: r2"), "{answer}");
    }

    demo.signal("-TERM");
    assert_eq!(demo.0.wait().unwrap().code(), Some(0));
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_no_panic() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = dtr_lb(&[
        "check",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
    ])
    .stdout(full)
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: standard output can't be written: No space left on device (os error 28)\n"
    );
}

#[test]
fn a_port_in_use_is_said_once_with_a_remedy() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let output = output(&[
        "run",
        "--fqdn",
        "dtr.example.com",
        "--replica",
        "10.0.0.1",
        "--listen",
        &format!("{address}=443"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert_eq!(said.matches("in use").count(), 1, "{said}");
    assert!(said.contains("choose a free address"), "{said}");
}

#[test]
fn a_hang_up_cuts_nothing_and_a_second_sigterm_logs_what_it_cuts() {
    let replica = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = replica.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.json");
    let config = format!(
        r#"{{ "fqdn": "dtr.example.com", "health": {{ "preset": "tcp" }},
              "replicas": [{{ "address": "127.0.0.1", "ports": {{ "443": {port} }} }}],
              "listeners": [{{ "bind": "127.0.0.1:0", "port": 443 }}] }}"#
    );
    std::fs::write(&file, config).unwrap();
    let mut program = dtr_lb(&["run", "--config", file.to_str().unwrap()]);
    let mut program = Running(program.stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(program.0.stderr.take().unwrap()).lines();
    let mut until = |words: &str| {
        let mut lines = log.by_ref().map(Result::unwrap);
        let found = lines.find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("the log ended without {words:?}"))
    };
    let listening = until("balancing port 443 on ");
    let (_, address) = listening.rsplit_once(' ').unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"hello").unwrap();
    // Probes are connections as well; the client's is the one that says hello.
    let is_the_clients = |stream: &mut TcpStream| {
        let mut said = [0; 5];
        stream.read_exact(&mut said).is_ok() && said == *b"hello"
    };
    let mut connections = std::iter::from_fn(|| replica.accept().ok()).map(|(stream, _)| stream);
    let _connection = connections
        .find_map(|mut stream| is_the_clients(&mut stream).then_some(stream))
        .unwrap();

    program.signal("-HUP");
    until("SIGHUP: the configuration was read again");
    std::fs::write(&file, "{").unwrap();
    program.signal("-HUP");
    until("the balancer goes on as before");
    program.signal("-TERM");
    until("SIGTERM: no more connections are accepted");
    program.signal("-TERM");
    until("SIGTERM: the open connections are cut");
    let line = until("access");
    assert!(line.contains("up=5") && line.contains("drained"), "{line}");
    assert_eq!(program.0.wait().unwrap().code(), Some(0));
}

#[test]
fn clients_beyond_the_limit_of_open_files_wait_and_no_replica_is_blamed() {
    let replica = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = replica.local_addr().unwrap().port();
    let replica_greets = move || {
        for mut stream in replica.incoming().map_while(Result::ok) {
            // Who left before the greeting needs none.
            let _ = stream.write_all(b"hello");
        }
    };
    std::thread::spawn(replica_greets);
    let mut program = Command::new("sh");
    program.args(["-c", r#"ulimit -n 200 && exec "$0" "$@""#]);
    program.args([
        env!("CARGO_BIN_EXE_dtr-lb"),
        "run",
        "--replica",
        "127.0.0.1",
    ]);
    program.args(["--fqdn", "dtr.example.com", "--health-preset", "tcp"]);
    program.args(["--listen", &format!("127.0.0.1:0={port}")]);
    let mut program = Running(program.stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(program.0.stderr.take().unwrap()).lines();
    let mut lines = log.by_ref().map(Result::unwrap);
    let listening = lines.find(|line| line.contains("balancing port")).unwrap();
    let (_, address) = listening.rsplit_once(' ').unwrap();

    let clients: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    // Each that leaves makes room for one that waits.
    for (index, mut client) in clients.into_iter().enumerate() {
        let mut greeting = [0; 5];
        client
            .read_exact(&mut greeting)
            .unwrap_or_else(|error| panic!("client {index}: {error}"));
    }
}

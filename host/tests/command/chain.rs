//! Filters somebody else wrote, checked and loaded.

use crate::{output, text};

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

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_filter_that_cannot_be_loaded_is_named_with_the_reason() {
    let crash = "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
        (drop (call $log (i32.const 5) (i32.const 16) (i32.const 10))) unreachable)";
    let cases = [
        (
            "no module",
            b"\0asm and no more".to_vec(),
            "not a usable wasm module",
        ),
        (
            "no marker",
            wasm("(module (memory (export \"memory\") 1))"),
            "no proxy-wasm ABI marker",
        ),
        (
            "a missing import",
            wasm(&guest("").replace("proxy_log", "proxy_sing")),
            "env.proxy_sing",
        ),
        (
            "a callback of another shape",
            wasm(&guest("(func (export \"proxy_on_tick\") (param i64))")),
            "proxy_on_tick",
        ),
        (
            "no allocator",
            wasm(&guest("").replace("malloc", "mallok")),
            "exports neither malloc nor proxy_on_memory_allocate",
        ),
        ("a crash", wasm(&guest(crash)), "last words: no license"),
        (
            "a refusal",
            wasm(&guest(
                "(func (export \"proxy_on_configure\") (param i32 i32) (result i32) (i32.const 0))",
            )),
            "proxy_on_configure refused the configuration",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let well = folder.path().join("well.wasm");
    std::fs::write(&well, wasm(&guest(""))).unwrap();
    for (why, module, expected) in cases {
        let sick = folder.path().join("sick.wasm");
        std::fs::write(&sick, module).unwrap();
        let config = r#"{ "listeners": [{ "bind": "127.0.0.1:0", "cluster": "web" }],
            "clusters": [{ "name": "web", "endpoints": ["127.0.0.1:1"] }],
            "filters": [{ "wasm": "well.wasm" }, { "wasm": "sick.wasm", "name": "the sick one" }] }"#;
        let file = folder.path().join("chain.json");
        std::fs::write(&file, config).unwrap();
        let file = file.to_str().unwrap();
        let known = output(&["check", "--config", file]);
        assert_eq!(known.status.code(), Some(0), "{why}: it is not loaded");
        let tried = output(&["check", "--load", "--config", file]);
        let stderr = text(&tried.stderr);
        assert_eq!(tried.status.code(), Some(2), "{why}: {stderr}");
        let named = format!("filter \"the sick one\" ({}): ", sick.display());
        for part in [named.as_str(), expected, "well.wasm): loaded and started"] {
            assert!(stderr.contains(part), "{why}: no {part:?} in {stderr}");
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
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        stdout.contains("dtr-lb (built in): loaded and started"),
        "{stdout}"
    );
}

#[test]
fn a_chain_is_checked_like_any_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.wasm"), wasm(&guest(""))).unwrap();
    std::fs::write(folder.path().join("x.wat"), guest("")).unwrap();
    let listener = r#""listeners": [{ "bind": "127.0.0.1:0", "cluster": "web" }]"#;
    let cluster = r#""clusters": [{ "name": "web", "endpoints": ["127.0.0.1:1"] }]"#;
    let with = |filter: &str| format!("{{ {listener}, {cluster}, \"filters\": [{filter}] }}");
    let cases = [
        (
            with(r#"{ "wasm": "x.wat" }"#),
            "filters[0].wasm is \"x.wat\"; no WebAssembly module in binary form; give what",
        ),
        (
            with(r#"{ "wasm": "y.wasm" }"#),
            "filters[0].wasm is \"y.wasm\"; can't be read",
        ),
        (
            with(r#"{ "wasm": "x.wasm", "memory": "1KiB" }"#),
            "filters[0].memory is \"1KiB\"; expected a size in KiB, MiB or GiB",
        ),
        (
            with(r#"{ "wasm": "x.wasm", "failure": "shut" }"#),
            "filters[0].failure is \"shut\"; expected one of reload, open, closed",
        ),
        (
            with(r#"{ "wasm": "x.wasm", "rootid": "r" }"#),
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
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{config}: {stderr}");
        assert!(
            stderr.contains(expected),
            "{config}\nno {expected:?} in {stderr}"
        );
    }
}

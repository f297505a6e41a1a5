//! The built filter may use nothing of its host but what is listed here.
//!
//! `DTR_LB_FILTER_WASM` names a module to look at; without it the test builds one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// All of them are proxy-wasm's; no clock, file, socket or randomness of WASI.
const ALLOWED: [&str; 16] = [
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// What a host would call for each chunk of each connection.
const DATA_CALLBACKS: [&str; 2] = ["proxy_on_downstream_data", "proxy_on_upstream_data"];

#[test]
fn the_filter_can_do_nothing_but_talk_to_its_host() {
    let module = std::fs::read(filter()).unwrap();
    let imports = names(&module, IMPORTS);
    assert!(
        !imports.is_empty(),
        "a filter without imports is not the filter"
    );
    for (module, name) in &imports {
        assert_eq!(module, "env", "{name} is of another module than the host's");
        assert!(
            ALLOWED.contains(&name.as_str()),
            "{name} is not on the list of imports"
        );
    }
    for name in ALLOWED {
        assert!(
            imports.iter().any(|(_, it)| it == name),
            "{name} is listed and not imported"
        );
    }
}

#[test]
fn no_bytes_of_a_connection_pass_through_the_vm() {
    let module = std::fs::read(filter()).unwrap();
    let exports: Vec<String> = names(&module, EXPORTS)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    for needed in [
        "proxy_abi_version_0_2_1",
        "malloc",
        "proxy_on_new_connection",
        "proxy_on_log",
    ] {
        assert!(
            exports.iter().any(|it| it == needed),
            "{needed} is not exported: {exports:?}"
        );
    }
    for unwanted in DATA_CALLBACKS {
        assert!(
            !exports.iter().any(|it| it == unwanted),
            "{unwanted} is exported"
        );
    }
}

/// The module to look at.
fn filter() -> PathBuf {
    if let Some(path) = std::env::var_os("DTR_LB_FILTER_WASM") {
        return PathBuf::from(path);
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/filter");
    let triple = "wasm32-unknown-unknown";
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "-p",
            "dtr-lb-filter",
            "--profile",
            "filter",
            "--target",
            triple,
        ])
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&built.stderr);
    assert!(
        built.status.success(),
        "the filter does not build; if the target is missing, `rustup target add {triple}`: {told}"
    );
    target.join(triple).join("filter/dtr_lb_filter.wasm")
}

const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;

/// Modules and names of a section of imports or exports; an export's module is empty.
fn names(module: &[u8], section: u8) -> Vec<(String, String)> {
    assert_eq!(module[..8], *b"\0asm\x01\0\0\0", "not a wasm module");
    let mut whole = Reader(&module[8..]);
    while !whole.0.is_empty() {
        let kind = whole.byte();
        let size = whole.number();
        let mut body = Reader(whole.take(size));
        if kind != section {
            continue;
        }
        let mut names = Vec::new();
        for _ in 0..body.number() {
            let module = if section == IMPORTS {
                body.text()
            } else {
                String::new()
            };
            let name = body.text();
            match (section, body.byte()) {
                (IMPORTS, 0) | (EXPORTS, _) => body.number(),
                (_, other) => panic!("{module}.{name} is no function but of kind {other}"),
            };
            names.push((module, name));
        }
        return names;
    }
    Vec::new()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(size);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn number(&mut self) -> usize {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn text(&mut self) -> String {
        let size = self.number();
        String::from_utf8(self.take(size).to_vec()).unwrap()
    }
}

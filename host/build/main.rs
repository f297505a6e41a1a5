//! Builds the filter for WebAssembly and reduces the module to what is called, so that
//! the host can embed it and `cargo build` is the only command needed.
//!
//! `DTR_LB_FILTER_WASM` names a built module to embed instead.

mod exports;
mod reduce;
mod set_aside;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed={BUILT_MODULE}");
    let module = match env::var_os(BUILT_MODULE) {
        Some(built) => {
            let built = PathBuf::from(built);
            println!("cargo::rerun-if-changed={}", built.display());
            built
        }
        None => build(&out)?,
    };
    let name = module.display();
    let linked = std::fs::read(&module)
        .map_err(|error| format!("the filter {name} can't be read: {error}"))?;
    let kept = exports::KEPT.map(|(export, _)| export);
    let renamed = (set_aside::CALLBACK, set_aside::SET_ASIDE);
    let reduced = reduce::reduce(&linked, &kept, renamed)
        .map_err(|error| format!("the filter {name} can't be reduced: {error}"))?;
    let embedded = out.join("filter.wasm");
    std::fs::write(&embedded, reduced)
        .map_err(|error| format!("{} can't be written: {error}", embedded.display()))
}

fn build(out: &Path) -> Result<PathBuf, String> {
    let host = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = host.parent().ok_or("the host is not in a workspace")?;
    for file in [
        "filter/src",
        "filter/build.rs",
        "filter/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    add_target_if_missing()?;

    // A folder of its own: the outer cargo holds the lock of the usual one. It is
    // shared by debug and release builds, whose filter is the same.
    let target_dir = out.ancestors().nth(4).unwrap_or(out).join("filter-build");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(workspace);
    cargo.args(["build", "--package", "dtr-lb-filter", "--lib", "--locked"]);
    cargo.args(["--profile", "filter", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target_dir);
    // Flags and wrappers of the outer build, such as those of clippy, coverage or
    // another target, are not meant for this one.
    for name in NOT_INHERITED {
        cargo.env_remove(name);
    }
    run(
        &mut cargo,
        "read the compiler's message above; without a network, set DTR_LB_FILTER_WASM to a built filter",
    )?;
    Ok(target_dir.join(TARGET).join("filter/dtr_lb_filter.wasm"))
}

fn add_target_if_missing() -> Result<(), String> {
    let mut rustc = Command::new(variable("RUSTC")?);
    let sysroot = run(
        rustc.args(["--print", "sysroot"]),
        "check the Rust toolchain",
    )?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET);
    if library.join("lib").is_dir() {
        return Ok(());
    }
    println!(
        "cargo::warning=the Rust target {TARGET} is missing; adding it with `rustup target add {TARGET}`"
    );
    run(
        Command::new("rustup").args(["target", "add", TARGET]),
        "check the network and run it by hand; \
         with a Rust that rustup did not install, install its wasm32-unknown-unknown library",
    )
    .map(|_| ())
}

/// Runs a command to its end and returns its output; a failure names the command
/// and the remedy.
fn run(command: &mut Command, remedy: &str) -> Result<String, String> {
    let arguments = std::iter::once(command.get_program()).chain(command.get_args());
    let arguments: Vec<_> = arguments.map(|one| one.to_string_lossy()).collect();
    let command_line = arguments.join(" ");
    let output = command
        .output()
        .map_err(|error| format!("`{command_line}` can't be run: {error}; {remedy}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{stderr}\n`{command_line}` failed ({}); {remedy}",
        output.status
    ))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}; run this through cargo"))
}

const BUILT_MODULE: &str = "DTR_LB_FILTER_WASM";

const NOT_INHERITED: [&str; 9] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];

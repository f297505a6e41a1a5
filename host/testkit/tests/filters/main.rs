//! The filters of the repository's `tests/guests`, in the testkit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod failures;
mod http;
mod shared;
mod tcp;

use proxy_wasm_testkit::{Build, Builder, TestKit};

/// A kit for the filter of this name.
fn load(name: &str) -> Builder {
    let build = Build::new("../../tests/guests").example(name);
    TestKit::load(build.run().unwrap())
}

/// Messages the guest logged, in order.
fn logs(kit: &TestKit) -> Vec<String> {
    kit.logs().into_iter().map(|line| line.message).collect()
}

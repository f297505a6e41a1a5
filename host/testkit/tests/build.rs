//! Where the testkit gets guests from.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proxy_wasm_testkit::{Build, BuildError, Guest, TestKit, guest};

#[test]
fn a_guest_is_named_by_its_crate() {
    let kit = TestKit::load(guest("../../tests/guests")).start().unwrap();
    assert!(kit.logged("hello"));
    let again = Guest::build("../../tests/guests").unwrap();
    assert!(again.path().unwrap().ends_with("guests.wasm"));
}

#[test]
fn a_guest_is_named_by_its_file() {
    let kit = TestKit::load(guest("tests/prober.wat")).start().unwrap();
    assert_eq!(kit.metric("ticks"), Some(0));
}

#[test]
fn a_guest_that_cannot_be_built_says_why() {
    let missing = Build::new("../../tests/guests")
        .example("nobody")
        .run()
        .unwrap_err();
    let text = missing.to_string();
    assert!(matches!(missing, BuildError::Cargo { .. }), "{text}");
    assert!(text.contains("no example target named `nobody`"), "{text}");

    let nowhere = Guest::build("no/such/folder").unwrap_err().to_string();
    assert!(nowhere.contains("no/such/folder"), "{nowhere}");

    let library = Build::new("../../tests/guests")
        .package("log")
        .run()
        .unwrap_err();
    assert!(
        library.to_string().contains("crate-type = [\"cdylib\"]"),
        "{library}"
    );
}

//! The pairs decoder: whatever a guest hands over is decoded or refused, and what
//! was decoded comes out of the encoder as it went in, but for its names' case.
#![no_main]

use proxy_wasm_engine::fuzz::{decode_pairs, encode_pairs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(pairs) = decode_pairs(bytes) else {
        return;
    };
    assert!(pairs.len() <= 1024, "more pairs than a guest may hand over");
    let encoded = encode_pairs(&pairs);
    assert_eq!(decode_pairs(&encoded), Some(pairs), "encoded and decoded again");
});

//! The pairs decoder: whatever a guest hands over is decoded or refused, and what
//! was decoded comes out of the encoder as it went in, but for its names' case.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_engine::pairs;

fuzz_target!(|bytes: &[u8]| {
    let Some(headers) = pairs::decode(bytes) else {
        return;
    };
    assert!(
        headers.len() <= 1024,
        "more pairs than a guest may hand over"
    );
    let encoded = pairs::encode(&headers);
    assert_eq!(
        pairs::decode(&encoded),
        Some(headers),
        "encoded and decoded again"
    );
});

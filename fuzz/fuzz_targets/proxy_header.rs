//! The header of the PROXY protocol: whatever is sent, and in whatever pieces, what is known of
//! a part holds for the whole, and an end is found within its bound.
#![no_main]

use dtr_lb::ReceivedHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|sent: &[u8]| {
    let whole = ReceivedHeader::of(sent);
    if let ReceivedHeader::Whole(length, _) = whole {
        assert!(length <= sent.len(), "more than was sent");
    }
    assert!(
        whole != ReceivedHeader::Incomplete || sent.len() < 4096,
        "it never ends"
    );
    for part in [1, 6, 12, 16, sent.len() / 2, sent.len().saturating_sub(1)] {
        let part = ReceivedHeader::of(sent.get(..part).unwrap_or(sent));
        assert!(
            part == ReceivedHeader::Incomplete || part == whole,
            "{part:?} of a part, {whole:?} of the whole"
        );
    }
});

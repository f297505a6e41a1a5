//! Which of several services a client wants: whatever it sends, and in whatever pieces,
//! what is known of a part holds for the whole.
#![no_main]

use dtr_lb::RequestedName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|sent: &[u8]| {
    let whole = RequestedName::of(sent);
    if let RequestedName::InTls(name) | RequestedName::AsHost(name) = &whole {
        assert!(name.len() < sent.len(), "a name that was not sent");
    }
    for part in [1, 5, sent.len() / 2, sent.len().saturating_sub(1)] {
        let part = RequestedName::of(sent.get(..part).unwrap_or(sent));
        assert!(
            part == RequestedName::Unknown || part == whole,
            "{part:?} of a part, {whole:?} of the whole"
        );
    }
});

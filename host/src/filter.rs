//! The filter's module.

#[path = "../build/set_aside.rs"]
mod set_aside;

use std::borrow::Cow;

use crate::plan::Plan;
use set_aside::{CALLBACK, SET_ASIDE};

/// The filter, compiled to WebAssembly: the very module Envoy is given.
pub const FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filter.wasm"));

/// The module that Envoy is given for a plan. With several services it is called for what
/// clients send, since Envoy does not say which `Host` they ask for; the standalone host
/// does.
#[must_use]
pub fn filter_for_envoy(plan: &Plan) -> Cow<'static, [u8]> {
    match plan.services {
        None => FILTER.into(),
        Some(_) => filter_for_services().into(),
    }
}

/// The module that Envoy is given for any plan of several services: the callback for what
/// clients send has the name that proxies call.
#[must_use]
pub fn filter_for_services() -> Vec<u8> {
    let mut module = FILTER.to_vec();
    let exported = export(SET_ASIDE);
    let at = module
        .windows(exported.len())
        .position(|bytes| bytes == exported);
    if let Some(at) = at {
        // Behind the length of the name.
        module[at + 1..][..CALLBACK.len()].copy_from_slice(CALLBACK.as_bytes());
    }
    module
}

/// A function's entry in the section of exports, as far as its index: the name after its
/// length, and the kind.
fn export(name: &str) -> Vec<u8> {
    const FUNCTION: u8 = 0;
    let length = [u8::try_from(name.len()).unwrap_or_default()];
    [&length, name.as_bytes(), &[FUNCTION]].concat()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use wasmparser::{Parser, Payload};

    fn exports(module: &[u8]) -> Vec<(String, u32)> {
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::ExportSection(section) = payload.unwrap() {
                let section = section.into_iter().map(Result::unwrap);
                exports.extend(section.map(|one| (one.name.to_owned(), one.index)));
            }
        }
        exports
    }

    #[test]
    fn one_export_has_another_name_and_all_else_is_the_same() {
        assert_eq!(CALLBACK.len(), SET_ASIDE.len());
        let (before, after) = (exports(FILTER), exports(&filter_for_services()));
        let renamed = before.iter().map(|(name, index)| match name.as_str() {
            SET_ASIDE => (CALLBACK.to_owned(), *index),
            _ => (name.clone(), *index),
        });
        assert_eq!(after, renamed.collect::<Vec<_>>());
        assert!(before.iter().all(|(name, _)| name != CALLBACK));
        assert!(after.iter().any(|(name, _)| name == CALLBACK));
    }
}

//! What the balancer's VMs share, for the VMs of another process.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dtr_lb_filter::contract::{VM_ID, metric_name::CHANGES_ANNOUNCED};
use dtr_lb_filter::shared::board::SHAPE;
use dtr_lb_filter::shared::succession::{Handover, handover, is_lease};
use proxy_wasm_engine::Shared;
use tracing::warn;

use crate::takeover::message::Entry;

/// Whether this process's VMs read what those of the other have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Own,
    /// They do not: theirs is this one.
    Foreign(u8),
}

/// All that is handed over.
pub(super) fn all(vm_data: &Shared) -> Vec<Entry> {
    let entries = vm_data.all_data(VM_ID).into_iter();
    let entries = entries.filter_map(|(key, value)| {
        // The balancer's keys are text.
        let key = String::from_utf8(key).ok()?;
        if handover(&key) == Handover::Never {
            return None;
        }
        let value = BASE64.encode(value);
        Some(Entry {
            shape: SHAPE,
            key,
            value,
        })
    });
    entries.collect()
}

/// Has VMs that are yet to start find it.
pub(super) fn share(vm_data: &Shared, mut entries: Vec<Entry>) {
    // Earlier versions send it all.
    entries.retain(|entry| handover(&entry.key) != Handover::Never);
    if let Form::Foreign(shape) = put(vm_data, entries) {
        warn!(
            "the states of replicas are learnt anew: those of the process before are of form \
             {shape}, and this one reads form {SHAPE}; orders hold where \"state_dir\" keeps them"
        );
    }
}

/// Has VMs that have started find what has changed since, and probe from now on: the VMs
/// of the other process do so no more.
pub(super) fn share_changes(vm_data: &Shared, mut entries: Vec<Entry>) -> Form {
    for (key, _) in vm_data.all_data(VM_ID) {
        if std::str::from_utf8(&key).is_ok_and(is_lease) {
            vm_data.set_data(VM_ID, &key, &[]);
        }
    }
    entries.retain(|entry| handover(&entry.key) == Handover::Whole);
    let form = put(vm_data, entries);
    vm_data.count_up(CHANGES_ANNOUNCED);
    form
}

fn put(vm_data: &Shared, entries: Vec<Entry>) -> Form {
    let mut form = Form::Own;
    for entry in entries {
        match BASE64.decode(&entry.value) {
            Ok(value) if entry.shape == SHAPE => {
                vm_data.set_data(VM_ID, entry.key.as_bytes(), &value);
            }
            _ => form = Form::Foreign(entry.shape),
        }
    }
    form
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::captured_log::CapturedLog;

    fn read(vm_data: &Shared, key: &str) -> Option<Vec<u8>> {
        vm_data.data(VM_ID, key.as_bytes())
    }

    #[test]
    fn changes_leave_what_is_about_the_vms_and_free_the_lease() {
        let (old, new) = (Shared::new(), Shared::new());
        let keys = [
            "dtr.orders",
            "dtr.lease",
            "dtr.lease@quay",
            "dtr.counts",
            "dtr.seats",
        ];
        for key in keys {
            old.set_data(VM_ID, key.as_bytes(), b"first");
        }
        share(&new, all(&old));
        assert!(keys.iter().all(|key| read(&new, key).unwrap() == b"first"));

        for key in keys {
            old.set_data(VM_ID, key.as_bytes(), b"second");
        }
        share_changes(&new, all(&old));
        let expected: [&[u8]; 5] = [b"second", b"", b"", b"first", b"first"];
        for (key, expected) in keys.into_iter().zip(expected) {
            assert_eq!(read(&new, key).unwrap(), expected, "{key}");
        }
        assert_eq!(new.metric(CHANGES_ANNOUNCED), Some(1), "the VMs look again");
    }

    #[test]
    fn what_clients_have_open_is_neither_sent_nor_taken() {
        let (old, new) = (Shared::new(), Shared::new());
        for key in ["dtr.client_vms", "dtr.clients.17"] {
            old.set_data(VM_ID, key.as_bytes(), b"first");
        }
        assert!(all(&old).is_empty());
        let sent = |key: &str| Entry {
            shape: SHAPE,
            key: key.to_owned(),
            value: BASE64.encode("first"),
        };
        let entries = || vec![sent("dtr.client_vms"), sent("dtr.clients.17")];
        share(&new, entries());
        share_changes(&new, entries());
        assert_eq!(new.all_data(VM_ID), []);
    }

    #[test]
    fn what_another_filter_wrote_is_left_out_and_said_once() {
        let (log, _guard) = CapturedLog::start();
        let (old, new) = (Shared::new(), Shared::new());
        for key in ["dtr.orders", "dtr.verdicts"] {
            old.set_data(VM_ID, key.as_bytes(), b"first");
        }
        let mut entries = all(&old);
        for entry in &mut entries {
            entry.shape += 1;
        }
        share(&new, entries);
        assert_eq!(new.all_data(VM_ID), []);
        assert_eq!(
            log.text().matches("learnt anew").count(),
            1,
            "{}",
            log.text()
        );
    }
}

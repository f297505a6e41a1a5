//! Values under keys, with compare-and-swap.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::{read, write};
use crate::status::{HostcallError, HostcallResult};

/// The data of all VMs of one id.
pub(crate) struct DataSpace {
    shards: [RwLock<HashMap<Box<[u8]>, Entry>>; SHARDS],
    last_cas: Arc<AtomicU32>,
    /// Keys and values, bytes.
    size: AtomicUsize,
}

struct Entry {
    value: Box<[u8]>,
    cas: Cas,
}

/// Which write a value is from. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cas(pub(crate) u32);

impl DataSpace {
    pub(super) fn new(last_cas: Arc<AtomicU32>) -> DataSpace {
        DataSpace {
            shards: Default::default(),
            last_cas,
            size: AtomicUsize::new(0),
        }
    }

    /// Appends the value to `out`.
    pub(crate) fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Option<Cas> {
        let shard = read(self.shard(key));
        let entry = shard.get(key)?;
        out.extend_from_slice(&entry.value);
        Some(entry.cas)
    }

    /// All keys and their values.
    pub(super) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let entries = self.shards.iter().flat_map(|shard| {
            let shard = read(shard);
            let entries = shard.iter();
            let copies = entries.map(|(key, entry)| (key.to_vec(), entry.value.to_vec()));
            copies.collect::<Vec<_>>()
        });
        entries.collect()
    }

    /// Writes when the value is still the one of `expected`; `None`: in any case.
    /// A key that is not there takes any.
    pub(crate) fn set(&self, key: &[u8], value: &[u8], expected: Option<Cas>) -> HostcallResult {
        let mut shard = write(self.shard(key));
        let old = shard.get_mut(key);
        let before = old
            .as_ref()
            .map_or(0, |entry| ENTRY + key.len() + entry.value.len());
        let after = ENTRY + key.len() + value.len();
        if after > before && self.size.load(Ordering::Relaxed) + (after - before) > MAX_BYTES {
            return Err(HostcallError::Internal);
        }
        match old {
            Some(entry) => {
                if expected.is_some_and(|expected| expected != entry.cas) {
                    return Err(HostcallError::CasMismatch);
                }
                entry.cas = self.next_cas();
                if entry.value.len() == value.len() {
                    entry.value.copy_from_slice(value);
                } else {
                    entry.value = value.into();
                }
            }
            None => {
                shard.insert(
                    key.into(),
                    Entry {
                        value: value.into(),
                        cas: self.next_cas(),
                    },
                );
            }
        }
        self.size
            .fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        Ok(())
    }

    fn next_cas(&self) -> Cas {
        loop {
            let cas = self
                .last_cas
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1);
            if cas != 0 {
                return Cas(cas);
            }
        }
    }

    fn shard(&self, key: &[u8]) -> &RwLock<HashMap<Box<[u8]>, Entry>> {
        // FNV-1a: keys are short, and which shard one is in is no secret.
        let mut hash = 0xCBF2_9CE4_8422_2325u64;
        for byte in key {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

const SHARDS: usize = 16;
/// Most bytes VMs of one id may share; a guest that fills more leaks.
const MAX_BYTES: usize = 256 << 20;
/// What an entry takes beside key and value, bytes.
const ENTRY: usize = 64;

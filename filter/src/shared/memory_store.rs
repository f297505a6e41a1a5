//! Shared data of one process, for tests.

use crate::shared::board::{Lost, Record, Store};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    records: HashMap<String, Record>,
    cas: u32,
    version: u64,
    /// Every write with an expected number is refused.
    pub(crate) refuses: bool,
}

impl Store for MemoryStore {
    fn read(&mut self, key: &str) -> Option<Record> {
        self.records.get(key).cloned()
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<(), Lost> {
        let held = self.records.get(key).map(|record| record.cas);
        let differs = expected.is_some_and(|cas| held.is_some_and(|held| held != cas));
        if differs || (self.refuses && expected.is_some()) {
            return Err(Lost);
        }
        self.cas += 1;
        let record = Record {
            value: value.to_vec(),
            cas: self.cas,
        };
        self.records.insert(key.to_owned(), record);
        Ok(())
    }

    fn version(&mut self) -> u64 {
        self.version
    }

    fn announce(&mut self) {
        self.version += 1;
    }
}

//! Whose part of the shared data it is, where there are several services.

use super::board::{Lost, Record, Store};
use crate::contract::shared_key;
use std::rc::Rc;

/// A service, or the only registry there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope(Option<Rc<str>>);

impl Scope {
    /// `None`: there is one registry.
    pub(crate) fn of(service: Option<&str>) -> Scope {
        Scope(service.map(Rc::from))
    }

    /// Its part of what is shared. What is announced is for all.
    pub(crate) fn within<'a, S: Store>(&self, store: &'a mut S) -> Scoped<'a, S> {
        Scoped {
            store,
            scope: self.clone(),
        }
    }
}

/// The part of a [`Store`] that one service has.
#[derive(Debug)]
pub(crate) struct Scoped<'a, S> {
    store: &'a mut S,
    scope: Scope,
}

impl<S: Store> Store for Scoped<'_, S> {
    fn read(&mut self, key: &str) -> Option<Record> {
        self.store.read(&shared_key(key, self.scope.0.as_deref()))
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<(), Lost> {
        let key = shared_key(key, self.scope.0.as_deref());
        self.store.write(&key, value, expected)
    }

    fn version(&mut self) -> u64 {
        self.store.version()
    }

    fn announce(&mut self) {
        self.store.announce();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::memory_store::MemoryStore;

    #[test]
    fn services_do_not_see_each_others_values_and_hear_all_announcements() {
        let mut store = MemoryStore::default();
        let scopes = [None, Some("dtr"), Some("quay")].map(Scope::of);
        for (number, scope) in (0..).zip(&scopes) {
            let mut part = scope.within(&mut store);
            assert_eq!(part.write("dtr.lease", &[number], None), Ok(()));
            part.announce();
        }
        for (number, scope) in (0..).zip(&scopes) {
            let mut part = scope.within(&mut store);
            let value = part.read("dtr.lease").map(|record| record.value);
            assert_eq!(value, Some(vec![number]), "{scope:?}");
            assert_eq!(part.version(), 3, "{scope:?}");
        }
    }
}

//! Shared data that can be unlucky.

use dtr_lb_filter::random::Random;
use dtr_lb_filter::shared::board::{Lost, Record, Store};
use std::collections::HashMap;

/// The shared data of one process.
#[derive(Debug)]
pub struct Board {
    values: HashMap<String, Record>,
    cas: u32,
    version: u64,
    random: Random,
    /// One in this many writes with an expected number is lost; 0: none.
    pub unlucky: u64,
}

impl Store for Board {
    fn read(&mut self, key: &str) -> Option<Record> {
        self.values.get(key).cloned()
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<(), Lost> {
        let held = self.values.get(key).map(|record| record.cas);
        let is_lost = expected.is_some_and(|cas| held.is_some_and(|held| held != cas));
        let is_unlucky =
            expected.is_some() && self.unlucky > 0 && self.random.below(self.unlucky) == 0;
        if is_lost || is_unlucky {
            return Err(Lost);
        }
        self.cas += 1;
        let record = Record {
            value: value.to_vec(),
            cas: self.cas,
        };
        self.values.insert(key.to_owned(), record);
        Ok(())
    }

    fn version(&mut self) -> u64 {
        self.version
    }

    fn announce(&mut self) {
        self.version += 1;
    }
}

impl Board {
    pub fn new(random: Random) -> Board {
        Board {
            values: HashMap::new(),
            cas: 0,
            version: 0,
            random,
            unlucky: 0,
        }
    }
}

/// A board that something happens to before one of a VM's accesses.
pub struct Interrupted<'a, F> {
    board: &'a mut Board,
    at: usize,
    accesses: usize,
    happens: Option<F>,
}

impl<'a, F: FnOnce(&mut Board)> Interrupted<'a, F> {
    /// `happens` comes before the access of this number, counted from 0.
    pub fn new(board: &'a mut Board, at: usize, happens: F) -> Interrupted<'a, F> {
        Interrupted {
            board,
            at,
            accesses: 0,
            happens: Some(happens),
        }
    }

    /// How many there were.
    pub fn accesses(&self) -> usize {
        self.accesses
    }

    fn access(&mut self) -> &mut Board {
        if self.accesses == self.at
            && let Some(happens) = self.happens.take()
        {
            happens(self.board);
        }
        self.accesses += 1;
        self.board
    }
}

impl<F: FnOnce(&mut Board)> Store for Interrupted<'_, F> {
    fn read(&mut self, key: &str) -> Option<Record> {
        self.access().read(key)
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Option<u32>) -> Result<(), Lost> {
        self.access().write(key, value, expected)
    }

    fn version(&mut self) -> u64 {
        self.access().version()
    }

    fn announce(&mut self) {
        self.access().announce();
    }
}

//! Which replica gets a connection.

mod availability;
mod best_candidates;
mod choice;
pub(crate) mod connections;
pub mod listener;
pub mod order;
pub(crate) mod outage;
pub(crate) mod passive;
pub(crate) mod pool;
pub mod replica;
pub(crate) mod replica_counts;
pub mod stream;
pub(crate) mod tally;
mod tournament_tree;
mod unsettled;

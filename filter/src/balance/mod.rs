//! Which replica gets a connection.

mod best_class;
mod choice;
pub mod connections;
mod passive;
pub mod pool;
pub mod replica;
pub(crate) mod tally;
mod tournament_tree;
mod traffic;

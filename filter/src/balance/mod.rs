//! Which replica gets a connection.

mod choice;
pub mod connections;
mod passive;
pub mod pool;
pub mod replica;
mod tournament_tree;
mod traffic;

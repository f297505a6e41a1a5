//! Who the clients are, and which of them may connect.

mod admission;
mod client_key;
mod networks;
mod open_connections;
mod vms;

pub use admission::{Clients, Ends};
pub use networks::Networks;

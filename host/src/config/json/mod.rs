//! JSON as the operator wrote it: with the places of its fields, and every error in it.

mod deserializer;
mod node;
mod parse;
mod read;
mod stand_in;
mod syntax;
mod wording;

pub(super) use node::Node;
pub(super) use parse::parse;
pub(super) use read::read;
pub(super) use wording::nearest;

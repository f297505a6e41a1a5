//! JSON as the operator wrote it: with the places of its fields, and every error in it.

mod deserializer;
mod node;
mod parse;
mod read;
mod scan;
mod stand_in;
mod syntax;
mod wording;

pub(crate) use node::{Entry, Json, Node};
pub(super) use parse::parse;
pub(super) use read::read;
pub(crate) use scan::scan;
pub(crate) use syntax::without_position;
pub(super) use wording::nearest;

//! A JSON value, and where it stands in the text.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// A JSON value, and where it stands in the text.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// In bytes from the start of the text.
    pub(crate) offset: usize,
    pub(crate) json: Json,
}

#[derive(Clone, Debug)]
pub(crate) enum Json {
    /// Neither a list nor an object.
    Scalar(Value),
    List(Vec<Node>),
    /// In the order of the text, a name that is given twice included.
    Object(Vec<Entry>),
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: Node,
    /// From 1.
    pub(super) line: usize,
    pub(super) presence: Presence,
}

/// Whether a field is read. One that was refused still tells where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Kept,
    TakenOut,
}

impl Node {
    /// Whether the object has this field.
    pub(in crate::config) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// Where a field such as `replicas[0].weight` stands, or what is nearest around it.
    pub(in crate::config) fn offset_of(&self, field: &str) -> usize {
        let names = field
            .split(['.', '['])
            .map(|name| name.trim_end_matches(']'));
        let mut node = self;
        for name in names {
            let next = match &node.json {
                Json::Scalar(_) => None,
                Json::List(items) => name.parse().ok().and_then(|at: usize| items.get(at)),
                // Also one that was taken out.
                Json::Object(entries) => {
                    let mut entries = entries.iter();
                    entries
                        .find(|entry| entry.name == name)
                        .map(|entry| &entry.value)
                }
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.offset
    }

    /// The value at the end of a path.
    pub(super) fn at(&self, path: &[Segment]) -> Option<&Node> {
        path.iter()
            .try_fold(self, |node, segment| match (segment, &node.json) {
                (Segment::Seq { index }, Json::List(items)) => items.get(*index),
                (Segment::Map { key }, Json::Object(_)) => {
                    node.field(key).map(|entry| &entry.value)
                }
                _ => None,
            })
    }

    /// The same, to be changed.
    pub(super) fn at_mut(&mut self, path: &[Segment]) -> Option<&mut Node> {
        path.iter()
            .try_fold(self, |node, segment| match (segment, &mut node.json) {
                (Segment::Seq { index }, Json::List(items)) => items.get_mut(*index),
                (Segment::Map { key }, Json::Object(entries)) => {
                    let entry = entries.iter_mut().find(|entry| entry.is_kept_as(key));
                    entry.map(|entry| &mut entry.value)
                }
                _ => None,
            })
    }

    /// The plain value; of fields that are given twice, the last.
    pub(super) fn value(&self) -> Value {
        match &self.json {
            Json::Scalar(value) => value.clone(),
            Json::List(items) => items.iter().map(Node::value).collect(),
            Json::Object(_) => {
                let fields = self
                    .kept()
                    .map(|entry| (entry.name.clone(), entry.value.value()));
                Value::Object(fields.collect())
            }
        }
    }

    /// The fields that are read.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Entry> {
        let entries = match &self.json {
            Json::Object(entries) => entries.as_slice(),
            _ => &[],
        };
        let is_kept = |entry: &&Entry| entry.presence == Presence::Kept;
        entries.iter().filter(is_kept)
    }

    fn field(&self, name: &str) -> Option<&Entry> {
        self.kept().find(|entry| entry.name == name)
    }
}

impl Entry {
    pub(super) fn is_kept_as(&self, name: &str) -> bool {
        self.presence == Presence::Kept && self.name == name
    }
}

/// The steps of a path as far as they lead to a value.
pub(super) fn steps(path: &Path) -> Vec<Segment> {
    let leads = |segment: &&Segment| matches!(segment, Segment::Seq { .. } | Segment::Map { .. });
    path.iter().take_while(leads).cloned().collect()
}

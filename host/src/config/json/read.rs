//! Reads a type from a whole text and finds every error on the way.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::deserializer::ReadError;
use super::node::{Entry, Json, Node, Presence, steps};
use super::stand_in;
use super::wording;
use crate::config::place;
use crate::config::problems::Problems;

/// Reads the text's value. What is wrong is among the problems afterwards, and out of
/// the value that is returned, so that the rest of it can be checked.
///
/// `None`: it can't be read in part, or so much is wrong that the rest matters little.
pub(in crate::config) fn read<T: DeserializeOwned>(problems: &mut Problems) -> Option<T> {
    for pass in 0..MOST_PASSES {
        let error = match serde_path_to_error::deserialize(problems.root()) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let path = steps(error.path());
        Mend { pass, problems }.mend(&path, error.into_inner())?;
        if problems.are_too_many() {
            return None;
        }
    }
    None
}

/// Notes an error and takes away what caused it.
struct Mend<'a> {
    /// A number that no other has.
    pass: usize,
    problems: &'a mut Problems,
}

impl Mend<'_> {
    /// `None`: there is nothing that could be taken away.
    fn mend(&mut self, path: &[Segment], error: ReadError) -> Option<()> {
        let field = name_of(path);
        match error {
            ReadError::UnknownField { field, known } => {
                self.unknown_field(object_of(path, &field), &field, known)
            }
            ReadError::Missing(missing) => self.missing(path, missing),
            ReadError::Duplicate(name) => self.duplicate(object_of(path, &name), &name),
            ReadError::UnknownVariant { variant, known } => {
                self.refuse_value(path, wording::one_of(&variant, known));
                self.take_out(path)
            }
            ReadError::Invalid { expected } => {
                let source = self.problems.source();
                let problem = wording::expected(&field, &expected, source);
                self.refuse_value(path, problem);
                self.take_out(path)
            }
            ReadError::Other(message) => match wording::duplicate(&message) {
                Some(name) => self.duplicate(object_of(path, name), name),
                None => {
                    self.refuse_value(path, message);
                    self.take_out(path)
                }
            },
        }
    }

    fn refuse_value(&mut self, path: &[Segment], problem: String) {
        match path {
            [] => self.problems.refuse_all(problem),
            _ => {
                let value = self
                    .problems
                    .root()
                    .at(path)
                    .map_or(Value::Null, Node::value);
                self.problems.refuse(&name_of(path), value, problem);
                self.problems.mark_refused(name_of(path));
            }
        }
    }

    fn unknown_field(&mut self, object: &[Segment], name: &str, known: &[&str]) -> Option<()> {
        let inside = name_of(object);
        let at = match inside.as_str() {
            "" => self.problems.place_of(name),
            _ => None,
        };
        let is_of_registry = at.is_none() && inside.is_empty() && known.contains(&"fqdn");
        let known = match at {
            Some(at) => place::known(at, known),
            None if is_of_registry => place::with_services(known),
            None => known.to_vec(),
        };
        let goes_with_services = is_of_registry && place::OF_SERVICES.contains(&name);
        let near = match goes_with_services {
            true => None,
            false => wording::nearest(name, &known),
        };
        let node = self.problems.root().at(object)?;
        if let Some(near) = near.filter(|near| !node.has(near)) {
            // It is there, under a wrong name.
            self.problems.mark_refused(join(&inside, near));
            if near == place::SERVICES {
                // Then each service has its own.
                for field in place::OF_A_SERVICE {
                    self.problems.mark_refused(field.to_owned());
                }
            }
        }
        let place = join(&inside, name);
        let shown = self.problems.shown(&place);
        let inside = shown.strip_suffix(name).unwrap_or_default();
        let inside = inside.trim_end_matches('.');
        let problem = match goes_with_services {
            true => wording::goes_with_services(name),
            false => wording::unknown_field(inside, name, near, &known),
        };
        self.problems.refuse_whole_at(&place, problem);
        let Json::Object(entries) = &mut self.problems.root_mut().at_mut(object)?.json else {
            return None;
        };
        for entry in entries.iter_mut().filter(|entry| entry.is_kept_as(name)) {
            entry.presence = Presence::TakenOut;
        }
        Some(())
    }

    fn missing(&mut self, object: &[Segment], name: &str) -> Option<()> {
        let field = join(&name_of(object), name);
        let problem = format!("missing; {}", wording::remedy_for_missing(name));
        self.problems.refuse_field(&field, problem);
        self.problems.mark_refused(field);
        let node = self.problems.root_mut().at_mut(object)?;
        let offset = node.offset;
        let Json::Object(entries) = &mut node.json else {
            return None;
        };
        entries.push(Entry {
            name: name.to_owned(),
            value: stand_in::node(offset, stand_in::for_field(name, self.pass)),
            line: 0,
            presence: Presence::Kept,
        });
        Some(())
    }

    fn duplicate(&mut self, object: &[Segment], name: &str) -> Option<()> {
        let Json::Object(entries) = &mut self.problems.root_mut().at_mut(object)?.json else {
            return None;
        };
        let twice = entries
            .iter()
            .filter(|entry| entry.is_kept_as(name))
            .count()
            > 1;
        let is_same = |entry: &&mut Entry| match twice {
            true => entry.is_kept_as(name),
            // Written differently.
            false => entry.presence == Presence::Kept && entry.name.eq_ignore_ascii_case(name),
        };
        let later = entries.iter_mut().rev().find(is_same)?;
        later.presence = Presence::TakenOut;
        let (offset, problem) = wording::given_twice(later);
        self.problems.refuse_whole(offset, problem);
        Some(())
    }

    /// Takes a value away, or its content where its place must stay.
    fn take_out(&mut self, path: &[Segment]) -> Option<()> {
        let (last, object) = path.split_last()?;
        match last {
            Segment::Seq { .. } => {
                let json = stand_in::for_element(object, self.pass);
                self.problems.root_mut().at_mut(path)?.json = json;
            }
            Segment::Map { key } => {
                let Json::Object(entries) = &mut self.problems.root_mut().at_mut(object)?.json
                else {
                    return None;
                };
                let mut same = entries.iter_mut().filter(|entry| entry.is_kept_as(key));
                same.next()?.presence = Presence::TakenOut;
                // Nobody else would see that it is there again.
                if let Some(later) = same.next() {
                    later.presence = Presence::TakenOut;
                    let (offset, problem) = wording::given_twice(later);
                    self.problems.refuse_whole(offset, problem);
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// The object of a field, whose path may end with the field's own name.
fn object_of<'a>(path: &'a [Segment], field: &str) -> &'a [Segment] {
    match path.split_last() {
        Some((Segment::Map { key }, object)) if key.eq_ignore_ascii_case(field) => object,
        _ => path,
    }
}

/// Such as `replicas[0].weight`.
fn name_of(path: &[Segment]) -> String {
    path.iter()
        .fold(String::new(), |name, segment| match segment {
            Segment::Seq { index } => format!("{name}[{index}]"),
            Segment::Map { key } => join(&name, key),
            _ => name,
        })
}

fn join(object: &str, field: &str) -> String {
    match object {
        "" => field.to_owned(),
        _ => format!("{object}.{field}"),
    }
}

/// Times that a text is read: a value that is refused may need a few stand-ins.
const MOST_PASSES: usize = 500;

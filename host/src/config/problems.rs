//! What is wrong with one configuration, as it is found.

use serde_json::Value;

use super::error::{ConfigError, ConfigErrors};
use super::json::Node;
use super::place::{OF_A_SERVICE, Place};
use super::source::Source;
use super::warning::ConfigWarning;

/// What is wrong with one configuration. A field whose value was refused is noted, so
/// that nothing is reported that only follows from it.
pub(super) struct Problems {
    source: Source,
    root: Node,
    /// Each with its place in the text.
    found: Vec<(usize, ConfigError)>,
    warnings: Vec<(usize, ConfigWarning)>,
    /// Fields of which there is no value to be checked.
    refused: Vec<String>,
    /// Of which of several services it is the configuration.
    service: Option<OneOfSeveral>,
}

/// One of several services, whose own fields are read as those of a whole file.
struct OneOfSeveral {
    /// Such as `services[1]`.
    place: String,
    /// Names of what stands there.
    own: Vec<String>,
}

impl Problems {
    pub(super) fn new(source: Source, root: Node) -> Problems {
        Problems {
            source,
            root,
            found: Vec::new(),
            warnings: Vec::new(),
            refused: Vec::new(),
            service: None,
        }
    }

    /// The same of one of several services, with these names of what stands there.
    pub(super) fn of_service(self, place: String, own: Vec<String>) -> Problems {
        Problems {
            service: Some(OneOfSeveral { place, own }),
            ..self
        }
    }

    /// Takes over what was found of a part. What is the same for several is one problem.
    pub(super) fn absorb(&mut self, part: Problems) {
        for one in part.found {
            if !self.found.contains(&one) {
                self.found.push(one);
            }
        }
        for one in part.warnings {
            if !self.warnings.contains(&one) {
                self.warnings.push(one);
            }
        }
    }

    /// What the operator calls a field.
    pub(super) fn shown(&self, field: &str) -> String {
        match &self.service {
            Some(service) if self.place_of(field) == Some(Place::Service) => {
                format!("{}.{field}", service.place)
            }
            _ => field.to_owned(),
        }
    }

    /// Where a field stands in a file of several services; `None`: it is in none.
    pub(super) fn place_of(&self, field: &str) -> Option<Place> {
        let service = self.service.as_ref()?;
        let first = field.split(['.', '[']).next().unwrap_or_default();
        let is_own = OF_A_SERVICE.contains(&first) || service.own.iter().any(|own| own == first);
        Some(match is_own {
            true => Place::Service,
            false => Place::TopLevel,
        })
    }

    /// An error of one field and the value found there.
    pub(super) fn refuse(
        &mut self,
        field: &str,
        value: impl Into<Value>,
        problem: impl Into<String>,
    ) {
        let error = self.source.refuse(&self.shown(field), value, problem);
        self.add(field, error);
    }

    /// An error of one field, whatever its value.
    pub(super) fn refuse_field(&mut self, field: &str, problem: impl Into<String>) {
        let error = self.source.refuse_field(&self.shown(field), problem);
        self.add(field, error);
    }

    /// The same of a field that is no part of what is read.
    pub(super) fn refuse_field_at(&mut self, offset: usize, field: &str, problem: &str) {
        self.found
            .push((offset, self.source.refuse_field(field, problem)));
    }

    /// An error of the whole.
    pub(super) fn refuse_all(&mut self, problem: impl Into<String>) {
        self.refuse_whole(0, problem);
    }

    /// An error whose text says where it is: at this place in the text.
    pub(super) fn refuse_whole(&mut self, offset: usize, problem: impl Into<String>) {
        self.found.push((offset, self.source.refuse_all(problem)));
    }

    /// The same, at a field.
    pub(super) fn refuse_whole_at(&mut self, field: &str, problem: impl Into<String>) {
        self.refuse_whole(self.root.offset_of(field), problem);
    }

    /// An error behind all else.
    pub(super) fn refuse_end(&mut self, problem: impl Into<String>) {
        self.refuse_whole(usize::MAX, problem);
    }

    /// Something that is probably not meant.
    pub(super) fn warn(
        &mut self,
        field: &str,
        value: impl Into<Value>,
        problem: impl Into<String>,
    ) {
        if !self.is_refused(field) {
            let warning = self.source.warning(&self.shown(field), value, problem);
            self.warnings.push((self.root.offset_of(field), warning));
        }
    }

    /// From now on there is no value of this field to be checked.
    pub(super) fn mark_refused(&mut self, field: String) {
        self.refused.push(field);
    }

    /// Whether there is no value of this field to be checked: it was refused, or what
    /// it is in.
    pub(super) fn is_refused(&self, field: &str) -> bool {
        self.refused.iter().any(|refused| is_within(field, refused))
    }

    /// Whether that is so of any of these.
    pub(super) fn is_any_refused(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.is_refused(field))
    }

    /// Whether a part of this field was refused, or the whole.
    pub(super) fn is_refused_in_part(&self, field: &str) -> bool {
        let mut refused = self.refused.iter();
        self.is_refused(field) || refused.any(|refused| is_within(refused, field))
    }

    /// Whether to look for more is of no use.
    pub(super) fn are_too_many(&self) -> bool {
        self.found.len() > MOST_ERRORS
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    pub(super) fn root_mut(&mut self) -> &mut Node {
        &mut self.root
    }

    /// The configuration, if nothing is wrong with it, and the warnings.
    ///
    /// # Errors
    /// All that was found, in the order of the text.
    pub(super) fn finish<T>(
        mut self,
        config: Option<T>,
    ) -> Result<(T, Vec<ConfigWarning>), ConfigErrors> {
        let too_many = self.are_too_many();
        self.warnings.sort_by_key(|(offset, _)| *offset);
        let warnings = self
            .warnings
            .into_iter()
            .map(|(_, warning)| warning)
            .collect();
        self.found.sort_by_key(|(offset, _)| *offset);
        self.found.truncate(MOST_ERRORS);
        let mut errors: Vec<ConfigError> = self.found.into_iter().map(|(_, error)| error).collect();
        if too_many {
            let problem =
                format!("there are more errors than these {MOST_ERRORS}; correct these first");
            errors.push(self.source.refuse_all(problem));
        }
        match config {
            Some(config) if errors.is_empty() => Ok((config, warnings)),
            _ => {
                let unreadable = || self.source.refuse_all("can't be read");
                Err(ConfigErrors::new(errors, unreadable).with_warnings(warnings))
            }
        }
    }

    fn add(&mut self, field: &str, error: ConfigError) {
        if !self.is_refused(field) && !self.are_too_many() {
            self.found.push((self.root.offset_of(field), error));
        }
    }
}

/// Whether `a.b[0].c` is `a.b`, or in it.
fn is_within(field: &str, outer: &str) -> bool {
    let rest = field.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// More are not worth reading.
const MOST_ERRORS: usize = 50;

//! A field as its schema has it.

use dtr_lb::config::json_schema;
use serde_json::Value;

use super::section::{Section, known};

/// A field of an object.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) schema: Value,
    /// What it is for, in sentences.
    pub(super) meaning: String,
    /// As the comment has it; `None`: the field is needed.
    pub(super) default: Option<String>,
}

impl Field {
    /// The value that it has when it is left out, where the default is one.
    pub(super) fn default_value(&self) -> Option<&str> {
        let value = self.default.as_deref()?.strip_prefix('`')?;
        value.split('`').next()
    }
}

/// The fields of an object that are in its table, in the order in which they are read.
pub(super) fn fields(section: &Section) -> Vec<Field> {
    let definitions = &json_schema()["definitions"];
    let definition = &definitions[section.definition];
    let properties = definition["properties"].as_object().unwrap();
    let known = known(section);
    // What makes it another form of file is in the table of that.
    let known = known.iter().filter(|name| properties.contains_key(*name));
    let known: Vec<&String> = known.collect();
    assert_eq!(known.len(), properties.len(), "{}", section.heading);
    let of_registry = definitions["Balancer"]["properties"].as_object().unwrap();
    let is_shared =
        |name: &str| section.definition.starts_with("Service") && of_registry.contains_key(name);
    let own = known.into_iter().filter(|name| !is_shared(name));
    own.map(|name| {
        let is_needed = of(definition, "required").any(|needed| needed == name);
        field(name, &properties[name], is_needed)
    })
    .collect()
}

fn field(name: &str, schema: &Value, is_needed: bool) -> Field {
    let comment = schema["description"].as_str().unwrap();
    let default = comment.rsplit_once(" [default: ");
    let (meaning, default) = match default {
        Some((meaning, default)) => {
            let default = default.strip_suffix("].").expect(comment);
            (format!("{meaning}."), Some(default.to_owned()))
        }
        None => (comment.to_owned(), None),
    };
    assert_eq!(default.is_none(), is_needed, "the default of {name}");
    Field {
        name: name.to_owned(),
        schema: schema.clone(),
        meaning,
        default,
    }
}

/// The texts of a list; none where there is no list.
pub(super) fn of<'a>(schema: &'a Value, word: &str) -> impl Iterator<Item = &'a str> {
    let list = schema[word].as_array().into_iter().flatten();
    list.filter_map(Value::as_str)
}

//! What a field takes, in words.

use dtr_lb::config::json_schema;
use serde_json::Value;

use super::field::of;
use super::page::anchor;
use super::presets;
use super::section::SECTIONS;

/// What a field takes: its kind and its range.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    if let Some(name) = definition(schema)
        && let Some(link) = link_of_definition(name)
    {
        return link;
    }
    let words = words(schema);
    if !words.is_empty() {
        return words.join(", ");
    }
    match types(schema).as_slice() {
        ["boolean"] => "`true`, `false`".to_owned(),
        ["integer" | "number"] => format!("{} to {}", schema["minimum"], schema["maximum"]),
        ["array"] => {
            let least = schema["minItems"].as_u64().map(|it| it.to_string());
            let most = schema["maxItems"].as_u64().map(|it| it.to_string());
            let count = match (least, most) {
                (None, None) => String::new(),
                (Some(least), None) => format!(" of at least {least}"),
                (None, Some(most)) => format!(" of at most {most}"),
                (Some(least), Some(most)) => format!(" of {least} to {most}"),
            };
            format!("list{count}, each {}", kind(&schema["items"]))
        }
        ["object"] => format!(
            "object, each name {}, each value {}",
            kind(&schema["propertyNames"]),
            kind(&schema["additionalProperties"])
        ),
        [] => "any JSON".to_owned(),
        _ => panic!("what this takes is not known: give it a title: {schema}"),
    }
}

/// What each of its words means, where the schema says so.
pub(super) fn meanings(schema: &Value) -> Vec<(String, String)> {
    let definitions = &json_schema()["definitions"];
    let schema = definition(schema).map_or(schema, |name| &definitions[name]);
    let variants = alternatives(schema, "oneOf").into_iter();
    variants
        .filter_map(|variant| {
            let word = variant["const"].as_str()?.to_owned();
            Some((word, variant["description"].as_str()?.to_owned()))
        })
        .collect()
}

/// What has a table of its own.
fn link_of_definition(name: &str) -> Option<String> {
    if name == presets::DEFINITION {
        return Some(format!("[a preset](#{})", anchor(presets::HEADING)));
    }
    let section = SECTIONS.iter().find(|section| section.definition == name)?;
    let anchor = anchor(section.heading);
    Some(format!("an object of [these fields](#{anchor})"))
}

/// What it refers to, alone or as one of two with `null`.
fn definition(schema: &Value) -> Option<&str> {
    let parts = ["anyOf", "allOf"].map(|word| alternatives(schema, word));
    let mut all = parts.iter().flatten().copied().chain([schema]);
    let name = all.find_map(|one| one["$ref"].as_str())?;
    name.strip_prefix("#/definitions/")
}

/// The words it may be, quoted.
pub(super) fn words(schema: &Value) -> Vec<String> {
    if let Some(name) = definition(schema) {
        return words(&json_schema()["definitions"][name]);
    }
    let variants = alternatives(schema, "oneOf");
    let alone = alternatives(schema, "anyOf");
    let nested = alone.iter().flat_map(|one| words(one));
    let variants = variants.iter().filter_map(|one| one["const"].as_str());
    let plain = of(schema, "enum").chain(variants);
    let quoted = plain.map(|word| format!("`{word}`"));
    quoted.chain(nested).collect()
}

fn alternatives<'a>(schema: &'a Value, word: &str) -> Vec<&'a Value> {
    schema[word].as_array().into_iter().flatten().collect()
}

/// Its types but for `null`, which is a field that is left out.
pub(super) fn types(schema: &Value) -> Vec<&str> {
    let one = schema["type"].as_str();
    let types = one.into_iter().chain(of(schema, "type"));
    types.filter(|name| *name != "null").collect()
}

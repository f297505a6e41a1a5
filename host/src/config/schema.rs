//! The JSON Schema of a configuration, for editors and for programs that generate one.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value, json};

use super::balancer::File;
use super::chain::ChainFile;
use super::place::OF_A_SERVICE;
use super::services;

/// The JSON Schema (draft 7, which editors know best) of all forms of the file. What it
/// refuses, the reader refuses; the reader alone compares fields with each other.
#[must_use]
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(join_lines));
    let mut generator = settings.into_generator();
    let chain = generator.subschema_for::<ChainFile>();
    let balancer = generator.subschema_for::<File>();
    let services = generator.subschema_for::<services::File>();
    let filters_alone = json!({
        "required": ["filters"],
        "not": { "required": ["replicas"] },
    });
    let mut definitions = generator.take_definitions(true);
    share_out(&mut definitions);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of dtr-lb",
        "type": "object",
        "if": { "required": ["services"] },
        "then": services,
        "else": {
            "if": { "anyOf": [{ "required": ["clusters"] }, filters_alone] },
            "then": chain,
            "else": balancer,
        },
        "definitions": definitions,
    })
}

/// Where there are several registries, some fields of one are each service's, and the
/// others those of the top level.
fn share_out(definitions: &mut Map<String, Value>) {
    let fields = definitions["Balancer"]["properties"].as_object();
    let fields = fields.cloned().unwrap_or_default();
    for (name, field) in fields {
        let of = match OF_A_SERVICE.contains(&name.as_str()) {
            true => "Service",
            false => "Services",
        };
        definitions[of]["properties"][&name] = field;
    }
    definitions["Service"]["required"] = definitions["Balancer"]["required"].clone();
}

/// A comment's lines, as long as those of its source, become one.
fn join_lines(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

//! The JSON Schema of a configuration, for editors and for programs that generate one.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

use super::balancer::File;
use super::chain::ChainFile;

/// The JSON Schema (draft 7, which editors know best) of both forms of the file. What it
/// refuses, the reader refuses; the reader alone compares fields with each other.
#[must_use]
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(join_lines));
    let mut generator = settings.into_generator();
    let chain = generator.subschema_for::<ChainFile>();
    let balancer = generator.subschema_for::<File>();
    let filters_alone = json!({
        "required": ["filters"],
        "not": { "required": ["replicas"] },
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of dtr-lb",
        "type": "object",
        "if": { "anyOf": [{ "required": ["clusters"] }, filters_alone] },
        "then": chain,
        "else": balancer,
        "definitions": generator.take_definitions(true),
    })
}

/// A comment's lines, as long as those of its source, become one.
fn join_lines(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

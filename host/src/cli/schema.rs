//! `dtr-lb schema`: what a configuration may contain, for editors.

use anyhow::Context;
use dtr_lb::config::json_schema;

use super::failure::Failure;
use super::output::print;

/// Prints the JSON Schema of a configuration.
pub(super) fn run() -> Result<(), Failure> {
    let schema = serde_json::to_string_pretty(&json_schema());
    print(schema.context("the schema can't be written")?)
}

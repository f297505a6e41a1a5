//! Reads a text as one JSON value.

use serde::Deserialize;
use serde_json::Value;

use super::scan::scan;
use super::syntax;
use crate::config::error::ConfigErrors;
use crate::config::problems::Problems;
use crate::config::source::Source;

/// Reads a whole text as one JSON value. What is wrong after its end is among the
/// problems already.
///
/// # Errors
/// It is no JSON.
pub(in crate::config) fn parse(text: &str, source: &Source) -> Result<Problems, ConfigErrors> {
    let mut json = serde_json::Deserializer::from_str(text);
    // Once, so that all below may rely on it; it refuses what is nested too deeply.
    Value::deserialize(&mut json)
        .map_err(|error| source.refuse_all(syntax::problem(text, &error)))?;
    let mut problems = Problems::new(source.clone(), scan(text, 0));
    if let Err(error) = json.end() {
        problems.refuse_end(format!(
            "more text after the end of the configuration, at line {}, column {}; remove it",
            error.line(),
            error.column()
        ));
    }
    Ok(problems)
}

//! The defaults that the comments name are those that the reader fills in.

use std::path::Path;

use dtr_lb::config::ConfigFile;
use serde_json::{Value, json};

use super::field::{Field, fields};
use super::kind::{types, words};
use super::section::{SECTIONS, Section, file_with};

#[test]
fn a_default_is_what_the_reader_takes_when_the_field_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("filter.wasm"), b"\0asm").unwrap();
    std::fs::write(folder.path().join("password"), "secret").unwrap();
    let mut seen = 0;
    for section in &SECTIONS {
        for field in fields(section) {
            let Some(default) = field.default_value() else {
                continue;
            };
            let read = |value: Value| read(section, &field, value, folder.path());
            let left_out = read(Value::Null);
            let (value, other) = values(&field, default);
            let name = format!("{}: {}", section.heading, field.name);
            assert_eq!(left_out, read(value), "{name} is not {default} by default");
            assert_ne!(left_out, read(other), "{name} makes no difference");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} defaults");
}

/// What is made of the section's file with this value; `null`: without the field.
fn read(section: &Section, field: &Field, value: Value, folder: &Path) -> String {
    let file = match value {
        Value::Null => section.file.to_owned(),
        value => file_with(section, &field.name, value),
    };
    let name = folder.join("lb.json");
    let file = ConfigFile::parse(&file, name.to_str().unwrap());
    let mut file = file.unwrap_or_else(|error| panic!("{error}"));
    // A value that stands there may be warned of, and is the same.
    match &mut file {
        ConfigFile::Balancer(config) => config.warnings.clear(),
        ConfigFile::Services(services) => services.warnings.clear(),
        ConfigFile::Chain(chain) => chain.warnings.clear(),
        _ => panic!("another form of file"),
    }
    format!("{file:?}")
}

/// The default, and a value that is another one.
fn values(field: &Field, default: &str) -> (Value, Value) {
    let schema = &field.schema;
    match types(schema).as_slice() {
        ["boolean"] => (json!(default == "true"), json!(default != "true")),
        ["integer"] => {
            let number: u64 = default.parse().unwrap();
            (json!(number), json!(number + 1))
        }
        ["number"] => (json!(default.parse::<f64>().unwrap()), json!(0.7)),
        _ => (json!(default), json!(another(schema, default))),
    }
}

fn another(schema: &Value, default: &str) -> String {
    let title = schema["title"].as_str().unwrap_or_default();
    let own = match title {
        _ if title.starts_with("a time") => vec!["7s".to_owned()],
        _ if title.starts_with("a size") => vec!["7MiB".to_owned()],
        _ if title.starts_with('`') => vec!["none".to_owned()],
        _ if title.starts_with("1 to 63") => vec!["another".to_owned()],
        _ => words(schema),
    };
    let mut others = own.iter().map(|word| word.trim_matches('`'));
    let another = others.find(|word| *word != default);
    another.expect("another value").to_owned()
}

//! docs/reference.md is written by the types that read a configuration.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod defaults;
mod field;
mod kind;
mod links;
mod page;
mod presets;
mod section;

use std::path::Path;

use dtr_lb::config::json_schema;

use section::{SECTIONS, known};

/// With the variable DTR_LB_WRITE_REFERENCE it writes the file.
#[test]
fn the_reference_is_what_the_program_reads() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
    let page = page::page();
    if std::env::var_os("DTR_LB_WRITE_REFERENCE").is_some() {
        return std::fs::write(&file, page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let mut lines = written.lines().zip(page.lines());
    let differs = lines.find(|(written, read)| written != read);
    let differs = differs.map(|(written, read)| format!("{written}\ninstead of\n{read}"));
    assert!(
        written == page,
        "docs/reference.md is not what the program reads; run: just reference\n{}",
        differs.unwrap_or_default()
    );
}

#[test]
fn every_field_that_the_reader_knows_has_its_row() {
    let page = page::page();
    for section in &SECTIONS {
        let heading = format!("\n## {}\n", section.heading);
        let (_, below) = page.split_once(&heading).expect(&heading);
        let own = below.split("\n## ").next().unwrap();
        // It makes the file another one, which has its own section.
        let is_other_form = |field: &str| section.definition == "Balancer" && field == "services";
        for field in known(section).iter().filter(|it| !is_other_form(it)) {
            let quoted = format!("`{field}`");
            // Of several registries most fields are those of one, and only listed.
            let is_there = own.lines().any(|line| {
                let is_row = line.starts_with(&format!("| {quoted} | "));
                is_row || line.starts_with("And") && line.contains(&quoted)
            });
            assert!(is_there, "{} lacks {field}", section.heading);
        }
    }
}

#[test]
fn every_link_is_that_of_a_field() {
    let schema = json_schema();
    for (of_field, _, _) in links::LINKS {
        let (definition, field) = of_field.split_once('.').unwrap();
        let own = &schema["definitions"][definition]["properties"][field];
        let in_chain = &schema["definitions"]["Chain"]["properties"][field];
        let is_there = own.is_object() || definition == "Balancer" && in_chain.is_object();
        assert!(is_there, "{of_field} is no field");
    }
}

#[test]
fn every_object_of_the_schema_has_its_section() {
    let schema = json_schema();
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        let has_section = SECTIONS.iter().any(|section| section.definition == name);
        let has_fields = definition.get("properties").is_some();
        assert_eq!(has_section, has_fields, "{name}");
    }
}

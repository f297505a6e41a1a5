//! The reference as Markdown.

use dtr_lb::config::json_schema;

use super::field::{Field, fields};
use super::kind::{kind, meanings};
use super::links::link;
use super::presets;
use super::section::{SECTIONS, Section, known};

/// The whole file.
pub(super) fn page() -> String {
    let mut page = INTRO.to_owned();
    for section in &SECTIONS {
        page += &format!("\n## {}\n\n{}\n", section.heading, section.intro);
        page += &table(section);
        page += &shared(section);
        if section.definition == "BodySpec" {
            page += &format!("\n## {}\n\n{PRESETS}\n\n", presets::HEADING);
            page += &presets::table();
        }
    }
    page
}

/// What links call a heading.
pub(super) fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower
        .chars()
        .filter(|it| it.is_alphanumeric() || [' ', '-', '_'].contains(it));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

fn table(section: &Section) -> String {
    let mut table = String::from("\n| field | default | range | meaning |\n|---|---|---|---|\n");
    for field in fields(section) {
        let default = field.default.as_deref().unwrap_or("needed");
        let cells = [default, &kind(&field.schema), &meaning(section, &field)];
        let cells = cells.map(|cell| cell.replace('|', "\\|")).join(" | ");
        table += &format!("| `{}` | {cells} |\n", field.name);
    }
    table
}

/// What a field is for, what its words mean, and where more is said.
fn meaning(section: &Section, field: &Field) -> String {
    let mut meaning = field.meaning.clone();
    // Those of presets have a table.
    if field.name != "preset" {
        for (word, text) in meanings(&field.schema) {
            meaning += &format!(" `{word}`: {}", lower(&text));
        }
    }
    if let Some(link) = link(section.definition, &field.name) {
        meaning += &format!(" See {link}.");
    }
    meaning
}

/// A sentence after a colon; what is written in capitals stays so.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.clone().next());
    match (first, second) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().collect::<String>() + chars.as_str()
        }
        _ => text.to_owned(),
    }
}

/// Which fields of one registry's file stand here, too.
fn shared(section: &Section) -> String {
    let definitions = &json_schema()["definitions"];
    let of_registry = definitions["Balancer"]["properties"].as_object().unwrap();
    let known = known(section);
    let shared = known.iter().filter(|name| of_registry.contains_key(*name));
    let shared: Vec<String> = shared.map(|name| format!("`{name}`")).collect();
    match section.definition {
        "Services" => format!(
            "\nAnd, for all services, these of the [file of one registry](#top-level): {}.\n",
            list(&shared)
        ),
        "Service" => format!(
            "\nAnd these of the [file of one registry](#top-level): {}.\n",
            list(&shared)
        ),
        _ => String::new(),
    }
}

fn list(names: &[String]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{}, and {last}", all.join(", ")),
        _ => names.join(", "),
    }
}

const INTRO: &str = r#"<!-- Written by the types that read the file. To write it again: just reference -->

# Configuration reference

The configuration is one JSON file, which `dtr-lb run`, `dtr-lb check` and `dtr-lb envoy`
read alike. It has one of three forms:

| what it is | the file has | fields |
|---|---|---|
| one registry | `replicas` | [top level](#top-level) |
| several registries | `services` | [several registries](#several-registries) |
| network filters and no registry | `clusters`, or `filters` alone | [a chain of filters](#a-chain-of-filters) |

Where the default is "needed", the field must be there. An unknown field is an error, so
that a mistyped name does not silently become a default. A time is a string with its unit,
such as `"500ms"`, `"2s"` or `"1h 30m"`, in whole milliseconds, at most a year. A size is a
string in `KiB`, `MiB` or `GiB`. A path that is not absolute starts at the folder of the
configuration.

`dtr-lb schema` prints the same as a JSON Schema, for editors.
"#;

const PRESETS: &str = "What `preset` of `health` and of `listeners[].health` fills in where \
                       `target`, `statuses` and `body` say nothing else. With each of them a \
                       JSON body that carries `Healthy`, `Health` or `status` must agree with \
                       the status: 200 with `\"Healthy\": false` is not healthy.";

//! The documents are true: their links lead somewhere, and their examples are accepted.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::path::{Path, PathBuf};

use dtr_lb::config::ConfigFile;
use dtr_lb::import::{ImportOptions, NoSources, OldFile, import};

/// Those beside the book.
const READMES: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "host/README.md",
    "host/engine/README.md",
    "host/testkit/README.md",
    "envoy/README.md",
    "packaging/README.md",
];

fn documents() -> Vec<String> {
    let readmes = READMES.map(str::to_owned);
    readmes.into_iter().chain(pages()).collect()
}

/// The book's, from the top level, in the order of their names.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.ends_with(".md") && path != CONTENTS {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    found
}

/// Of pages that show an old file, what becomes of it, and the new one.
fn migrations() -> impl Iterator<Item = String> {
    let is_one = |page: &String| page.starts_with("docs/migrate/") && !page.ends_with("README.md");
    pages().into_iter().filter(is_one)
}

const CONTENTS: &str = "docs/SUMMARY.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root().join(&document),
                file => root().join(&document).with_file_name(file),
            };
            let is_there = match heading {
                "" => target.exists(),
                heading => std::fs::read_to_string(&target)
                    .is_ok_and(|text| text.lines().any(|line| anchor(line) == heading)),
            };
            assert!(is_there, "{document} links to {link}, which is not there");
        }
    }
}

/// Who reads it elsewhere has nothing beside it.
#[test]
fn links_of_the_book_stay_in_it() {
    for page in pages() {
        let depth = page.matches('/').count() - 1;
        for link in links(&read(&page)) {
            let up = link.matches("../").count();
            assert!(up <= depth, "{page} links to {link}, outside of docs/");
        }
    }
}

#[test]
fn the_contents_name_each_page_once() {
    let text = read(CONTENTS);
    let mut named: Vec<String> = links(&text).map(|link| format!("docs/{link}")).collect();
    named.sort_unstable();
    assert_eq!(named, pages());
}

/// But those to other sites.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.starts_with("https://"))
}

/// What links call a heading.
fn anchor(line: &str) -> String {
    let title = line.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|it| it.is_alphanumeric() || *it == ' ' || *it == '-' || *it == '_');
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

#[test]
fn the_maps_folders_and_modules_exist() {
    let text = read("ARCHITECTURE.md");
    let map = text.split("```").nth(1).unwrap();
    let mut top = String::new();
    for line in map.lines().filter(|line| !line.is_empty()) {
        let nested = line.starts_with("  ");
        let path = line
            .split("  ")
            .find(|part| !part.trim().is_empty())
            .unwrap()
            .trim();
        if !nested {
            top = path.to_owned();
            assert!(
                root().join(path).is_dir(),
                "the map names {path}, which is not there"
            );
        } else if line.starts_with("    ") {
            for module in path.split(' ') {
                assert_module(&format!("{top}src/{module}"));
            }
        } else if let Some(modules) = path.strip_prefix("src/") {
            for module in modules.trim_end_matches('/').split(' ') {
                assert_module(&format!("{top}src/{module}"));
            }
        } else {
            assert!(
                root().join(&top).join(path).exists(),
                "the map names {top}{path}"
            );
        }
    }
}

#[test]
fn the_modules_on_the_two_journeys_exist() {
    let text = read("ARCHITECTURE.md");
    let journeys = text
        .split("\n## ")
        .filter(|part| part.contains("'s journey\n"));
    let mut found = 0;
    for name in journeys.flat_map(|part| part.split('`').skip(1).step_by(2)) {
        let Some((folder, _)) = name.split_once('/') else {
            continue;
        };
        let sources = ["filter/src", "host/src"].map(|source| root().join(source));
        if !folder.is_empty() && sources.iter().any(|source| source.join(folder).is_dir()) {
            found += 1;
            let file = |source: &PathBuf| source.join(format!("{name}.rs")).is_file();
            let is_folder = |source: &PathBuf| source.join(name).is_dir();
            assert!(
                sources
                    .iter()
                    .any(|source| file(source) || is_folder(source)),
                "a journey passes {name}, which is not there"
            );
        }
    }
    assert!(found > 8, "{found} modules on the journeys");
}

fn assert_module(path: &str) {
    let file = root().join(format!("{path}.rs"));
    let exists = file.is_file() || root().join(path).is_dir();
    assert!(
        exists,
        "the map names {path}, which is neither a module nor a folder"
    );
}

#[test]
fn examples_of_the_configuration_are_accepted() {
    let mut seen = 0;
    let folder = tempfile::tempdir().unwrap();
    for module in ["gate.wasm", "count.wasm"] {
        // A configuration is refused when a module can't be read.
        std::fs::write(folder.path().join(module), b"\0asm").unwrap();
    }
    for page in pages() {
        for block in read(&page).split("```json").skip(1) {
            let example = block.split("```").next().unwrap();
            let file = folder.path().join("example.json");
            if let Err(error) = ConfigFile::parse(example, file.to_str().unwrap()) {
                panic!("{error}\n{example}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 12, "an example was added or lost; change the number");
}

#[test]
fn the_example_that_comes_with_packages_is_accepted() {
    let example = read("packaging/lb.json");
    let file = ConfigFile::parse(&example, "lb.json").unwrap();
    assert!(file.warnings().is_empty());
}

#[test]
fn a_migrations_old_file_becomes_its_new_one() {
    let mut seen = 0;
    for document in migrations() {
        let text = read(&document);
        let mut blocks = text.split("\n```").skip(1).step_by(2);
        let mut block = || blocks.next().unwrap().split_once('\n').unwrap().1;
        let (old, command, report, new) = (block(), block(), block(), block());
        let mut words = command.split_whitespace().skip(2);
        let file = OldFile {
            name: words.next().unwrap().to_owned(),
            text: format!("{old}\n"),
        };
        let mut options = ImportOptions {
            token: "replace-this-one".to_owned(),
            ..ImportOptions::default()
        };
        while let (Some(flag), Some(value)) = (words.next(), words.next()) {
            match flag {
                "--fqdn" => options.fqdn = Some(value.to_owned()),
                "--instances" => {
                    let instances = value.split(',').filter_map(|one| one.split_once('='));
                    let owned = instances.map(|(id, at)| (id.to_owned(), at.to_owned()));
                    options.instances = owned.collect();
                }
                "--out" => {}
                _ => panic!("{document}: {flag} is not known here"),
            }
        }
        let format = file.format().unwrap();
        let imported = import(&file, format, &options, &mut NoSources).unwrap();
        assert_eq!(imported.config, new, "{document}");
        let notes = imported.notes.iter().map(ToString::to_string);
        let expected: Vec<String> = [format!("{}: {format}", file.name)]
            .into_iter()
            .chain(notes)
            .collect();
        // The command adds two lines: how much there was, and that it can be used.
        assert_eq!(
            report,
            expected.join("\n") + report_end(report),
            "{document}"
        );
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// The last two lines, and the end of the one before.
fn report_end(report: &str) -> &str {
    let ends = report.rmatch_indices('\n').map(|(end, _)| end);
    let start = ends.take(2).last().unwrap();
    &report[start..]
}

#[test]
fn the_configuration_in_the_manifests_is_accepted() {
    let manifests = read("packaging/kubernetes/dtr-lb.yaml");
    let (_, block) = manifests.split_once("lb.json: |\n").unwrap();
    let lines = block.lines().take_while(|line| line.starts_with("    "));
    let config = lines.collect::<Vec<_>>().join("\n");
    let file = ConfigFile::parse(&config, "lb.json");
    let file = file.unwrap_or_else(|error| panic!("{error}\n{config}"));
    let ConfigFile::Balancer(balancer) = file else {
        panic!("{file:?}");
    };
    let listened: Vec<u16> = balancer
        .listeners
        .iter()
        .map(|one| one.bind.port())
        .collect();
    for port in listened {
        let exposed = format!("containerPort: {port} }}");
        assert!(manifests.contains(&exposed), "no {exposed}");
    }
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let rules: serde_json::Value =
        yaml_serde::from_str(&read("packaging/prometheus/alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let alerts = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let mut led_to: Vec<String> = alerts
        .map(|rule| {
            let alert = rule["alert"].as_str().unwrap();
            let page = rule["annotations"]["runbook"].as_str();
            let page = page.unwrap_or_else(|| panic!("{alert} names no page"));
            let title = read(page).lines().next().map(str::to_owned);
            assert_eq!(title, Some(format!("# {alert}")), "the title of {page}");
            page.to_owned()
        })
        .collect();
    led_to.sort_unstable();
    let mut runbooks = pages();
    runbooks.retain(|page| page.starts_with("docs/runbooks/"));
    assert_eq!(led_to, runbooks);
}

//! No two modules import each other in a circle, in any of the packages.
//!
//! An arrow leads from a file to the file that defines what it names, by `use` or
//! by a path, through re-exports of a parent. `mod` makes no arrow, and tests make
//! none. Arrows that form a circle fail the test, and so does any from a folder
//! below the proxy to the proxy.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

#[test]
fn no_modules_import_each_other_in_a_circle() {
    for package in ["filter", "host", "host/engine", "host/testkit"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(package)
            .join("src");
        let mut files = BTreeMap::new();
        collect(&source, &[], &mut files);
        let arrows = Modules::parse(&files).arrows();
        assert!(arrows.len() > 10, "{package}: {} arrows", arrows.len());
        let circles = circles(&arrows);
        assert!(circles.is_empty(), "{package}: {}", circles.join("\n"));
    }
}

#[test]
fn what_is_below_the_proxy_does_not_import_it() {
    let mut files = BTreeMap::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    collect(&source, &[], &mut files);
    let arrows = Modules::parse(&files).arrows();
    let below = ["filters", "upstream", "net", "control", "metrics"];
    let is_within =
        |file: &str, folder: &str| file == folder || file.starts_with(&format!("{folder}::"));
    for folder in below {
        assert!(
            arrows.iter().any(|arrow| is_within(&arrow.from, folder)),
            "there is no {folder}"
        );
        let upward = arrows
            .iter()
            .find(|arrow| is_within(&arrow.from, folder) && is_within(&arrow.to, "proxy"));
        assert!(upward.is_none(), "{}", upward.unwrap());
    }
}

#[test]
fn a_planted_circle_is_found_whichever_way_it_is_written() {
    let cases = [
        (
            "by use",
            &[
                ("a", "use crate::b::B; pub struct A(B);"),
                ("b", "use crate::a::A; pub struct B(A);"),
            ][..],
            true,
        ),
        (
            "by a path",
            &[
                ("a", "pub fn f() { crate::b::g() }"),
                ("b", "use super::a; pub fn g() { a::f() }"),
            ],
            true,
        ),
        (
            "through a parent's re-export",
            &[
                ("x", "mod one; pub use one::One;"),
                ("x::one", "use crate::y::Two; pub struct One(Two);"),
                ("y", "use crate::x::One; pub struct Two(One);"),
            ],
            true,
        ),
        (
            "of three",
            &[
                ("a", "use crate::b::B;"),
                ("b", "use crate::{c::C, d::D};"),
                ("c", "use crate::a::A;"),
                ("d", ""),
            ],
            true,
        ),
        (
            "a tree has none",
            &[
                ("x", "mod one; mod two; pub use one::One;"),
                ("x::one", "use super::two::Two; pub struct One(Two);"),
                ("x::two", "pub struct Two;"),
                ("a", "use crate::x::One;"),
            ],
            false,
        ),
        (
            "tests make no arrows",
            &[
                ("a", "use crate::b::B;"),
                ("b", "#[cfg(test)] mod tests { use crate::a::A; }"),
            ],
            false,
        ),
    ];
    for (why, files, expected) in cases {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let arrows = Modules::parse(&files.collect()).arrows();
        assert_eq!(!circles(&arrows).is_empty(), expected, "{why}: {arrows:?}");
    }
}

/// One file needs another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: String,
    to: String,
    name: String,
}

impl std::fmt::Display for Arrow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} takes {} from {}", self.from, self.name, self.to)
    }
}

/// The modules of a package, by path (`net::forward`; the root is empty).
struct Modules {
    names: BTreeMap<String, Vec<Vec<String>>>,
    /// What a module passes on: the name, and where it comes from.
    exports: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Modules {
    fn parse(files: &BTreeMap<String, String>) -> Modules {
        let mut modules = Modules {
            names: BTreeMap::new(),
            exports: BTreeMap::new(),
        };
        for (module, text) in files {
            let file = syn::parse_file(text).unwrap();
            let mut paths = Paths::default();
            paths.visit_file(&file);
            modules.names.insert(module.clone(), paths.names);
            let exports = file.items.iter().filter_map(|item| match item {
                Item::Use(one) if !matches!(one.vis, Visibility::Inherited) => Some(one),
                _ => None,
            });
            let mut names = Vec::new();
            exports.for_each(|one| flatten(&one.tree, &[], &mut names));
            let named = names
                .into_iter()
                .filter_map(|path| Some((path.last()?.clone(), path)));
            modules.exports.insert(module.clone(), named.collect());
        }
        modules
    }

    fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (from, names) in &self.names {
            for path in names {
                if let Some((to, name)) = self.defined(from, path, 0)
                    && to != *from
                {
                    let from = from.clone();
                    arrows.insert(Arrow { from, to, name });
                }
            }
        }
        arrows
    }

    /// Which module defines what a path names, and its name there. `None`: it is
    /// of another crate, or a module as such.
    fn defined(&self, from: &str, path: &[String], depth: usize) -> Option<(String, String)> {
        let (mut module, mut rest) = match path.first()?.as_str() {
            "crate" => (String::new(), &path[1..]),
            "self" => (from.to_owned(), &path[1..]),
            "super" => (parent(from), &path[1..]),
            first if self.names.contains_key(&join(from, first)) => (from.to_owned(), path),
            _ => return None,
        };
        while rest.first().is_some_and(|first| first == "super") {
            (module, rest) = (parent(&module), &rest[1..]);
        }
        while let Some(child) = rest.first().map(|first| join(&module, first)) {
            if !self.names.contains_key(&child) {
                break;
            }
            (module, rest) = (child, &rest[1..]);
        }
        let name = rest.first()?;
        match self.exports.get(&module).and_then(|all| all.get(name)) {
            Some(path) if depth < 8 => self.defined(&module, path, depth + 1),
            _ => Some((module, name.clone())),
        }
    }
}

/// Every path of a file that may lead to another module, its tests left out.
#[derive(Default)]
struct Paths {
    names: Vec<Vec<String>>,
    /// What `use` brought in: the name here, and its path.
    modules: BTreeMap<String, Vec<String>>,
}

impl<'a> Visit<'a> for Paths {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Fn(one) => &one.attrs,
            Item::Impl(one) => &one.attrs,
            Item::Mod(one) => &one.attrs,
            Item::Use(one) => &one.attrs,
            _ => &[][..],
        };
        if !attributes.iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, one: &'a ItemUse) {
        // What is passed on is found through the one who takes it.
        if !matches!(one.vis, Visibility::Inherited) {
            return;
        }
        let mut names = Vec::new();
        flatten(&one.tree, &[], &mut names);
        for path in names {
            if let Some(name) = path.last() {
                self.modules.insert(name.clone(), path.clone());
            }
            self.names.push(path);
        }
    }

    fn visit_item_mod(&mut self, one: &'a ItemMod) {
        // A module within the file has paths of its own; there are only tests'.
        if one.content.is_none() {
            visit::visit_item_mod(self, one);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|one| one.ident.to_string())
            .collect();
        if segments.len() > 1 {
            let used = self.modules.get(&segments[0]).cloned();
            let head = used.unwrap_or_else(|| vec![segments[0].clone()]);
            self.names.push([&head[..], &segments[1..]].concat());
        }
        visit::visit_path(self, path);
    }
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|condition| condition == "test")
}

fn flatten(tree: &UseTree, before: &[String], names: &mut Vec<Vec<String>>) {
    let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident), names),
        UseTree::Name(name) if name.ident == "self" => names.push(before.to_vec()),
        UseTree::Name(name) => names.push(with(&name.ident)),
        UseTree::Rename(rename) => names.push(with(&rename.ident)),
        UseTree::Glob(_) => names.push([before, &["*".to_owned()]].concat()),
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| flatten(tree, before, names)),
    }
}

/// The circles among arrows, one text each.
fn circles(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let mut ahead: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        ahead.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reached = |start: &str| {
        let mut found = BTreeSet::new();
        let mut next = vec![start];
        while let Some(module) = next.pop() {
            for to in ahead.get(module).into_iter().flatten() {
                if found.insert(*to) {
                    next.push(*to);
                }
            }
        }
        found
    };
    let from: BTreeMap<&str, BTreeSet<&str>> =
        ahead.keys().map(|start| (*start, reached(start))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (start, found) in &from {
        if !found.contains(start) || seen.contains(start) {
            continue;
        }
        let circle: BTreeSet<&str> = found
            .iter()
            .copied()
            .filter(|one| from.get(one).is_some_and(|back| back.contains(start)))
            .collect();
        let ties = arrows.iter().filter(|arrow| {
            circle.contains(arrow.from.as_str()) && circle.contains(arrow.to.as_str())
        });
        let ties: Vec<String> = ties.map(ToString::to_string).collect();
        circles.push(format!(
            "a circle of {}:\n  {}",
            circle.len(),
            ties.join("\n  ")
        ));
        seen.extend(circle);
    }
    circles
}

/// Reads the files below a folder, those of tests left out.
fn collect(folder: &Path, module: &[String], files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if stem == "tests" || stem.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, &[module, &[stem]].concat(), files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = match stem.as_str() {
                "mod" | "lib" => module.to_vec(),
                // The binary is a crate of its own.
                "main" => continue,
                _ => [module, &[stem]].concat(),
            };
            files.insert(name.join("::"), fs::read_to_string(&path).unwrap());
        }
    }
}

fn join(module: &str, name: &str) -> String {
    match module {
        "" => name.to_owned(),
        _ => format!("{module}::{name}"),
    }
}

fn parent(module: &str) -> String {
    module
        .rsplit_once("::")
        .map_or(String::new(), |(parent, _)| parent.to_owned())
}

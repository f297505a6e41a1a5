//! A page of the documentation, as its source has it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A page and its blocks of code, in order.
pub(crate) struct Page {
    /// Its path from the repository's root.
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    /// Its text without the blocks, each paragraph a line.
    pub(crate) prose: Vec<String>,
}

/// What is between two fences.
pub(crate) struct Block {
    /// What follows the first fence, such as `sh`.
    pub(crate) language: String,
    /// The page's line that the first of its lines is.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The file that a line such as `haproxy.cfg:` before it names.
    file: Option<String>,
}

impl Page {
    /// All pages under `docs`, in the order of their names. The summary lists pages and is none.
    ///
    /// # Panics
    /// When one can't be read.
    pub(crate) fn all() -> Vec<Page> {
        let mut paths = Vec::new();
        walk(&root().join("docs"), &mut paths);
        paths.retain(|path| !path.ends_with("SUMMARY.md"));
        paths.sort_unstable();
        paths.iter().map(|path| Page::read(path)).collect()
    }

    /// The page of this name.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn named(name: &str) -> Page {
        Page::read(&root().join(name))
    }

    fn read(path: &Path) -> Page {
        let text = fs::read_to_string(path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root()).unwrap_or(path);
        Page::parse(name.to_string_lossy().into_owned(), &text)
    }

    fn parse(name: String, text: &str) -> Page {
        let (mut blocks, mut prose) = (Vec::new(), vec![String::new()]);
        let mut open: Option<(Block, usize)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let indent = line.len() - line.trim_start().len();
            let fence = line.trim_start().strip_prefix("```");
            match (fence, open.take()) {
                (Some(language), None) => {
                    let before = prose.iter().rev().find(|paragraph| !paragraph.is_empty());
                    let block = Block {
                        language: language.trim().to_owned(),
                        line: number + 1,
                        text: String::new(),
                        file: before.and_then(|paragraph| file_named_by(paragraph)),
                    };
                    open = Some((block, indent));
                    prose.push(String::new());
                }
                (Some(_), Some((block, _))) => blocks.push(block),
                (None, Some((mut block, fence))) => {
                    block.text += line.get(fence.min(indent)..).unwrap_or_default();
                    block.text.push('\n');
                    open = Some((block, fence));
                }
                (None, None) if line.trim().is_empty() => prose.push(String::new()),
                (None, None) => {
                    let paragraph = prose.last_mut().unwrap();
                    *paragraph += line.trim_start();
                    paragraph.push(' ');
                }
            }
        }
        assert!(open.is_none(), "{name}: its last block has no end");
        Page {
            name,
            blocks,
            prose,
        }
    }
}

impl Block {
    /// Whether its lines are commands.
    pub(crate) fn is_shell(&self) -> bool {
        self.language == "sh"
    }

    /// The file that it shows: one that the text names, or else a balancer's configuration.
    pub(crate) fn file(&self) -> Option<&str> {
        if self.is_shell() {
            return None;
        }
        let is_config = || {
            let value: Option<Value> = serde_json::from_str(&self.text).ok();
            value.is_some_and(|it| it.get("fqdn").is_some() || it.get("services").is_some())
        };
        match &self.file {
            Some(file) => Some(file),
            None if self.language == "json" && is_config() => Some("lb.json"),
            None => None,
        }
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `haproxy.cfg`, of `haproxy.cfg:` or `haproxy.cfg; as it was:`.
fn file_named_by(paragraph: &str) -> Option<String> {
    let (name, rest) = paragraph.trim_end().split_at(paragraph.find([':', ';'])?);
    let name = name.trim_matches('`');
    let is_name = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    let is_whole = rest.starts_with(';') || rest == ":";
    (is_whole && name.contains('.') && name.chars().all(is_name)).then(|| name.to_owned())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

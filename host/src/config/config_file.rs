//! Reading a file: the balancer's configuration, or a chain of filters.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::balancer::{self, Config};
use super::chain::{self, Chain};
use super::error::ConfigError;
use super::flags::Flags;
use super::foreign;
use super::json_error;
use super::source::Source;

/// A configuration file, read and checked.
///
/// ```
/// use dtr_lb::config::ConfigFile;
/// use dtr_lb::plan::Plan;
///
/// let text = r#"{ "listeners": [{ "bind": "0.0.0.0:443", "cluster": "web" }],
///                 "clusters": [{ "name": "web", "endpoints": ["10.0.0.11:443"] }] }"#;
/// let file = ConfigFile::parse(text, "chain.json")?;
/// assert_eq!(Plan::of_file(&file).listeners.len(), 1);
/// # Ok::<(), dtr_lb::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConfigFile {
    /// The balancer: replicas, and how they are probed.
    Balancer(Box<Config>),
    /// Listeners, clusters and network filters, given plainly.
    Chain(Box<Chain>),
}

impl ConfigFile {
    /// Reads and checks the file at `path`, and the modules it names.
    ///
    /// # Errors
    /// A file can't be read, or [`ConfigFile::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, name) = read_file(path)?;
        Self::parse(&text, &name)
    }

    /// Reads and checks the text of a file. A file with `clusters`, or with
    /// `filters` and no `replicas`, is a chain. `file_name` is for messages, and
    /// its folder is where relative paths start.
    ///
    /// # Errors
    /// The first thing that is wrong: where, which value, and what to do.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        let text = without_mark(text);
        if !is_chain(text) {
            return Ok(ConfigFile::Balancer(Box::new(Config::parse(
                text, file_name,
            )?)));
        }
        let source = Source::File(file_name.to_owned());
        let chain = chain::validate(from_json(text, &source)?, &source)?;
        Ok(ConfigFile::Chain(Box::new(chain)))
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// The file can't be read, or [`Config::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, name) = read_file(path)?;
        Self::parse(&text, &name)
    }

    /// Reads and checks the text of a file. `file_name` is for messages, and its
    /// folder is where a relative path in `verify` starts.
    ///
    /// # Errors
    /// The first thing that is wrong: where, which value, and what to do.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        let source = Source::File(file_name.to_owned());
        balancer::validate(from_json(without_mark(text), &source)?, &source)
    }

    /// Reads and checks the flags of the simple case.
    ///
    /// # Errors
    /// The first thing that is wrong: which flag, which value, and what to do.
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigError> {
        let source = Source::Flags;
        balancer::validate(from_json(&flags.as_json(), &source)?, &source)
    }
}

fn is_chain(text: &str) -> bool {
    // What is no JSON object is refused by the reader of either form.
    serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|file| {
        file.contains_key("clusters")
            || file.contains_key("filters") && !file.contains_key("replicas")
    })
}

/// A file's text, and its name for messages.
fn read_file(path: &Path) -> Result<(String, String), ConfigError> {
    let name = path.display().to_string();
    let refuse = |problem: String| Source::File(name.clone()).refuse_all(problem);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            refuse(format!(
                "the configuration can't be read ({error}); check the path and its permissions"
            ))
        })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refuse(format!(
            "longer than {} MiB; is this the configuration?",
            LARGEST_FILE >> 20
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        refuse(format!(
            "not UTF-8 at byte {}; save it as UTF-8",
            error.utf8_error().valid_up_to()
        ))
    })?;
    Ok((text, name))
}

/// Some editors begin a UTF-8 file with a mark that is no part of the JSON.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a whole text as one JSON value.
fn from_json<T: DeserializeOwned>(text: &str, source: &Source) -> Result<T, ConfigError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let file = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        match foreign::looks_like(text) {
            Some(format) => source.refuse_all(format!(
                "this looks like {format}; `dtr-lb import {}` makes a configuration of it",
                source.name()
            )),
            None => json_error::refusal(source, text, error),
        }
    })?;
    json.end().map_err(|error| {
        source.refuse_all(format!(
            "more text after the end of the configuration, at line {}, column {}; remove it",
            error.line(),
            error.column()
        ))
    })?;
    Ok(file)
}

/// In bytes; ten thousand replicas fit many times over.
const LARGEST_FILE: u64 = 16 << 20;

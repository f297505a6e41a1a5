//! Reading a file: a balancer's configuration, or a chain of filters.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::balancer::{self, Config};
use super::chain::{self, Chain};
use super::error::{ConfigError, ConfigErrors};
use super::flags::Flags;
use super::foreign;
use super::json::{self, Node};
use super::place::SERVICES;
use super::problems::Problems;
use super::services::{self, Services};
use super::source::Source;
use super::warning::ConfigWarning;

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
/// # Ok::<(), dtr_lb::config::ConfigErrors>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConfigFile {
    /// The balancer: replicas, and how they are probed.
    Balancer(Box<Config>),
    /// The balancer of several registries.
    Services(Box<Services>),
    /// Listeners, clusters and network filters, given plainly.
    Chain(Box<Chain>),
}

impl ConfigFile {
    /// Reads and checks the file at `path`, and the modules it names.
    ///
    /// # Errors
    /// A file can't be read, or [`ConfigFile::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let (text, name) = load(path)?;
        Self::parse(&text, &name)
    }

    /// Reads and checks what `input` contains. `name` is for messages.
    ///
    /// # Errors
    /// It can't be read, or [`ConfigFile::parse`] refuses it.
    pub fn read(input: impl Read, name: &str) -> Result<Self, ConfigErrors> {
        let text = read_text(input, name)?;
        Self::parse(&text, name)
    }

    /// Reads and checks the text of a file. A file with `clusters`, or with
    /// `filters` and neither `replicas` nor `services`, is a chain. `file_name` is for
    /// messages, and its folder is where relative paths start.
    ///
    /// # Errors
    /// All that is wrong: where, which value, and what to do.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigErrors> {
        parse(text, file_name, |problems| {
            Ok(match form(problems.root()) {
                Form::Chain => ConfigFile::Chain(Box::new(chain(problems)?)),
                Form::Services => ConfigFile::Services(Box::new(services::read(problems)?)),
                Form::Balancer => ConfigFile::Balancer(Box::new(balancer(problems)?)),
            })
        })
    }

    /// The registries that are balanced, one or several; none: it is a chain.
    #[must_use]
    pub fn registries(&self) -> &[Config] {
        match self {
            ConfigFile::Balancer(config) => std::slice::from_ref(config),
            ConfigFile::Services(services) => &services.services,
            ConfigFile::Chain(_) => &[],
        }
    }

    pub(crate) fn registries_mut(&mut self) -> &mut [Config] {
        match self {
            ConfigFile::Balancer(config) => std::slice::from_mut(config),
            ConfigFile::Services(services) => &mut services.services,
            ConfigFile::Chain(_) => &mut [],
        }
    }

    /// Whether DNS says how many replicas there are.
    #[must_use]
    pub fn discovers(&self) -> bool {
        self.registries().iter().any(Config::discovers)
    }

    /// Whether a change of the file is taken over at once.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        match self {
            ConfigFile::Chain(chain) => chain.watch,
            file => file.registries().first().is_some_and(|one| one.watch),
        }
    }

    /// Where the process waits for the one that takes its place; `None`: it names none.
    #[must_use]
    pub fn takeover_socket(&self) -> Option<&Path> {
        match self {
            ConfigFile::Chain(chain) => chain.takeover_socket.as_deref(),
            file => file.registries().first()?.takeover_socket.as_deref(),
        }
    }

    /// What is right and still probably not meant, in the order of the file.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        match self {
            ConfigFile::Balancer(config) => &config.warnings,
            ConfigFile::Services(services) => &services.warnings,
            ConfigFile::Chain(chain) => &chain.warnings,
        }
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// The file can't be read, or [`Config::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let (text, name) = load(path)?;
        Self::parse(&text, &name)
    }

    /// Reads and checks the text of a file. `file_name` is for messages, and its
    /// folder is where a relative path in `verify` starts.
    ///
    /// # Errors
    /// All that is wrong: where, which value, and what to do.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigErrors> {
        parse(text, file_name, balancer)
    }

    /// Reads and checks the flags of the simple case.
    ///
    /// # Errors
    /// All that is wrong: which flag, which value, and what to do.
    pub fn from_flags(flags: &Flags) -> Result<Self, ConfigErrors> {
        json::parse(&flags.as_json(), &Source::Flags).and_then(balancer)
    }
}

/// Reads a file's text with the reader of its form.
pub(super) fn parse<T>(
    text: &str,
    file_name: &str,
    read: impl FnOnce(Problems) -> Result<T, ConfigErrors>,
) -> Result<T, ConfigErrors> {
    let source = Source::File(file_name.to_owned());
    // Editors of Windows begin a file with a byte order mark, which is no part of
    // the JSON.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let result = json::parse(text, &source).and_then(read);
    result.map_err(|errors| match foreign::looks_like(text) {
        Some(format) => source.refuse_all(foreign::problem(format)).into(),
        None => errors,
    })
}

fn balancer(mut problems: Problems) -> Result<Config, ConfigErrors> {
    let file = json::read(&mut problems);
    let config = file.map(|file| balancer::validate(file, &mut problems));
    let (config, warnings) = problems.finish(config)?;
    Ok(Config { warnings, ..config })
}

fn chain(mut problems: Problems) -> Result<Chain, ConfigErrors> {
    let file = json::read(&mut problems);
    let chain = file.map(|file| chain::validate(file, &mut problems));
    let (chain, warnings) = problems.finish(chain)?;
    Ok(Chain { warnings, ..chain })
}

/// The forms of a file.
pub(super) enum Form {
    Balancer,
    Services,
    Chain,
}

/// What is no object is refused by the reader of any form.
pub(super) fn form(root: &Node) -> Form {
    match root.has(SERVICES) {
        true => Form::Services,
        false if root.has("clusters") || root.has("filters") && !root.has("replicas") => {
            Form::Chain
        }
        false => Form::Balancer,
    }
}

/// A file's text, and its name for messages.
pub(super) fn load(path: &Path) -> Result<(String, String), ConfigError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
    let text = read_text(file, &name)?;
    Ok((text, name))
}

pub(super) fn read_text(input: impl Read, name: &str) -> Result<String, ConfigError> {
    let refuse = |problem: String| Source::File(name.to_owned()).refuse_all(problem);
    let mut bytes = Vec::new();
    (input.take(LARGEST_FILE + 1))
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(name, &error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refuse(format!(
            "longer than {} MiB; is this the configuration?",
            LARGEST_FILE >> 20
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        refuse(format!(
            "not UTF-8 at byte {}; save it as UTF-8",
            error.utf8_error().valid_up_to()
        ))
    })
}

fn unreadable(name: &str, error: &io::Error) -> ConfigError {
    Source::File(name.to_owned()).refuse_all(format!(
        "the configuration can't be read ({error}); check the path and its permissions"
    ))
}

/// In bytes; ten thousand replicas fit many times over.
const LARGEST_FILE: u64 = 16 << 20;

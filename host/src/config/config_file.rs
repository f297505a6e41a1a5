//! What a file may be: the balancer's configuration, or a chain of filters.

use std::path::Path;

use serde_json::{Map, Value};

use super::error::Source;
use super::{Config, ConfigError, chain, file_of, read_file, without_mark};
use crate::plan::Plan;

/// What a configuration file says.
///
/// ```
/// use dtr_lb::config::ConfigFile;
///
/// let text = r#"{ "listeners": [{ "bind": "0.0.0.0:443", "cluster": "web" }],
///                 "clusters": [{ "name": "web", "endpoints": ["10.0.0.11:443"] }] }"#;
/// let setup = ConfigFile::parse(text, "chain.json")?;
/// assert_eq!(setup.plan().listeners.len(), 1);
/// # Ok::<(), dtr_lb::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConfigFile {
    /// The balancer: replicas, and how they are judged.
    Balancer(Box<Config>),
    /// Listeners, clusters and network filters, given plainly. Nothing is left to
    /// expand: it is a plan already.
    Chain(Box<Plan>),
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
        let folder = Path::new(file_name).parent().unwrap_or(Path::new(""));
        let plan = chain::plan(file_of(text, &source)?, &source, folder)?;
        Ok(ConfigFile::Chain(Box::new(plan)))
    }

    /// What it comes to.
    #[must_use]
    pub fn plan(&self) -> Plan {
        match self {
            ConfigFile::Balancer(config) => Plan::of(config),
            ConfigFile::Chain(plan) => (**plan).clone(),
        }
    }
}

fn is_chain(text: &str) -> bool {
    // What is no JSON object is told by the reader of either form.
    serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|file| {
        file.contains_key("clusters")
            || file.contains_key("filters") && !file.contains_key("replicas")
    })
}

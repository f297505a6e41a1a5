//! What a plugin or a VM is configured with.

use serde_json::Value;

/// A plugin's configuration: JSON by [`serde_json::json!`], or text, or bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration(pub(crate) Vec<u8>);

impl From<Value> for Configuration {
    /// `null` is no configuration at all.
    fn from(value: Value) -> Configuration {
        match value {
            Value::Null => Configuration::default(),
            other => Configuration(other.to_string().into_bytes()),
        }
    }
}

impl From<&str> for Configuration {
    fn from(text: &str) -> Configuration {
        Configuration(text.as_bytes().to_vec())
    }
}

impl From<String> for Configuration {
    fn from(text: String) -> Configuration {
        Configuration(text.into_bytes())
    }
}

impl From<Vec<u8>> for Configuration {
    fn from(bytes: Vec<u8>) -> Configuration {
        Configuration(bytes)
    }
}

impl From<&[u8]> for Configuration {
    fn from(bytes: &[u8]) -> Configuration {
        Configuration(bytes.to_vec())
    }
}

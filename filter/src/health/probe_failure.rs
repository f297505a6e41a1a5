//! Why a probe failed.

use super::reason::{Component, Reason};
use crate::printable::printable;
use serde::{Deserialize, Serialize};

/// Why an answer is not that of a healthy replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFailure {
    /// The kind of thing that is wrong.
    pub reason: Reason,
    /// The part of the registry that the text names.
    pub component: Option<Component>,
    /// The answer's own text, made [`printable`]; may be empty.
    pub text: String,
}

impl ProbeFailure {
    /// A failure with the text that goes with it.
    pub fn new(reason: Reason, text: &str) -> ProbeFailure {
        let text = printable(text);
        ProbeFailure {
            reason,
            component: Component::named_in(&text),
            text,
        }
    }

    /// All of it in one line.
    pub fn in_one_line(&self) -> String {
        let mut line = self.reason.name().to_owned();
        if let Some(component) = self.component {
            line.push_str(&format!(" [{}]", component.name()));
        }
        if !self.text.is_empty() {
            line.push_str(": ");
            line.push_str(&self.text);
        }
        line
    }
}

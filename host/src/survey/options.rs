//! How a survey is made.

use std::time::Duration;

use crate::proxy::options::HostOptions;
use crate::upstream::resolver::Lookup;

/// How a survey is made; what is asked is the configuration's.
#[derive(Clone)]
pub struct SurveyOptions {
    /// How many requests are under way at once; at least one.
    pub at_once: usize,
    /// Looks up DNS names. Default: the system's resolver.
    pub lookup: Lookup,
    /// How long a name's look-up may take.
    pub resolve_limit: Duration,
}

impl Default for SurveyOptions {
    fn default() -> Self {
        let host = HostOptions::default();
        SurveyOptions {
            at_once: 64,
            lookup: host.lookup,
            resolve_limit: host.resolve_limit,
        }
    }
}

/// How far a survey is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Questions that are answered, or given up.
    pub done: usize,
    /// All questions.
    pub all: usize,
}

//! Why a kit did not start.

use std::fmt;

use proxy_wasm_engine::StartError;

use crate::state::{KitState, LogLine};
use crate::transcript::Transcript;

/// Why a kit did not start.
pub struct KitError(Box<StartFailure>);

struct StartFailure {
    why: StartError,
    explanation: Option<String>,
    transcript: Transcript,
    logs: Vec<LogLine>,
}

impl KitError {
    pub(crate) fn new(why: StartError, kit_state: &KitState) -> KitError {
        KitError(Box::new(StartFailure {
            explanation: kit_state.with_transcript(crate::transcript::explain::explain),
            why,
            transcript: kit_state.transcript(),
            logs: kit_state.logs(),
        }))
    }

    /// The engine's error.
    pub fn why(&self) -> &StartError {
        &self.0.why
    }

    /// All callbacks and host function calls.
    pub fn transcript(&self) -> &Transcript {
        &self.0.transcript
    }

    /// What the guest logged.
    pub fn logs(&self) -> &[LogLine] {
        &self.0.logs
    }
}

impl fmt::Display for KitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest did not start: {}", self.0.why)?;
        if let Some(explanation) = &self.0.explanation {
            write!(f, "\n{explanation}")?;
        }
        if !self.0.transcript.entries().is_empty() {
            write!(f, "\ntranscript:\n{}", self.0.transcript)?;
        }
        Ok(())
    }
}

/// As `Display`: this is what a test that returns the error prints.
impl fmt::Debug for KitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.why)
    }
}

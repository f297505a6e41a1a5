//! Which balancer a file belongs to.

use super::error::ImportError;
use super::sources::OldFile;
use crate::config::foreign::{self, ForeignFormat};

impl OldFile {
    /// Whose configuration it is, by a look at it.
    ///
    /// # Errors
    /// It is none that is known.
    pub fn format(&self) -> Result<ForeignFormat, ImportError> {
        if let Some(format) = foreign::looks_like(&self.text) {
            return Ok(format);
        }
        // Its reader says what is wrong with it.
        if self.text.trim_start().starts_with(['{', '[']) {
            return Ok(ForeignFormat::AwsElb);
        }
        let problem = match self.text.trim().is_empty() {
            true => "empty; give the old balancer's configuration",
            false => {
                "neither an NGINX configuration, nor HAProxy's, nor the JSON of `aws elb \
                 describe-load-balancers`; say with --format which of them it is meant to be"
            }
        };
        Err(ImportError::of_file(&self.name, problem))
    }
}

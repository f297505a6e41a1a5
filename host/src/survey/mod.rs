//! Asks every replica once, as the balancer would, and compares what they say.
//!
//! Nothing is listened on, no filter runs and no credentials are sent: it can be done
//! beside a running balancer, and before there is one.
//!
//! ```no_run
//! use dtr_lb::config::Config;
//! use dtr_lb::survey::{SurveyOptions, survey};
//!
//! # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load("lb.json".as_ref())?;
//! let survey = survey(&config, &SurveyOptions::default(), |_| {}).await?;
//! for found in &survey.disagreements {
//!     println!("{found}");
//! }
//! # Ok(())
//! # }
//! ```

mod advice;
mod answer;
mod check_result;
mod cluster_views;
mod cross_check;
mod day;
mod options;
mod outcome;
mod place;
mod question;
mod revealed;
mod round;
mod targets;
#[cfg(test)]
mod tests;
mod uploads;

pub use check_result::{CheckFailure, CheckResult, Survey};
pub use cluster_views::cluster_views;
pub use day::day;
pub use options::{Progress, SurveyOptions};
pub use round::survey;
pub use uploads::{UploadTest, uploads};

//! `dtr-lb check --probe`: asks every replica once.

use anyhow::{Context, anyhow};
use dtr_lb::StartError;
use dtr_lb::config::Config;
use dtr_lb::survey::{Survey, SurveyOptions, survey};

use crate::cli::failure::Failure;
use crate::cli::progress::ShownProgress;

/// Asks every replica of these registries, as the balancer would, and compares what
/// they say.
///
/// # Errors
/// A configuration that has no replicas; no runtime.
pub(in crate::cli) fn probe(registries: &[Config]) -> Result<Survey, Failure> {
    if registries.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "--probe asks the replicas of a balancer, and this configuration is a chain of \
             filters; check it without --probe, or with --load"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let mut shown = ShownProgress::new("asking the replicas");
    let options = SurveyOptions::default();
    let surveyed = runtime.block_on(async {
        let mut whole: Option<Survey> = None;
        for config in registries {
            let next = survey(config, &options, |progress| shown.update(progress)).await?;
            whole = Some(match whole {
                None => next,
                Some(before) => before.and(next),
            });
        }
        Ok::<_, StartError>(whole)
    });
    drop(shown);
    // A look-up of a name may block a thread for as long as the resolver waits.
    runtime.shutdown_background();
    let surveyed = surveyed.map_err(|error| Failure::Usage(error.into()))?;
    surveyed.ok_or_else(|| Failure::Usage(anyhow!("there is no replica to ask")))
}

/// Whether all is well, for the exit status.
///
/// # Errors
/// In one line: how many replicas fail a check, and how much they disagree about.
pub(super) fn judge(survey: &Survey) -> Result<(), Failure> {
    if survey.is_well() {
        return Ok(());
    }
    let (failing, all) = (survey.failing().len(), survey.replicas().len());
    let fail = match (failing, all) {
        (0, 1) => "the replica passes its checks".to_owned(),
        (0, all) => format!("all {all} replicas pass their checks"),
        (1, 1) => "the replica fails a check".to_owned(),
        (1, all) => format!("1 of {all} replicas fails a check"),
        (failing, all) => format!("{failing} of {all} replicas fail a check"),
    };
    let differ = match survey.disagreements.len() {
        0 => String::new(),
        1 => ", and 1 thing is not alike or not right".to_owned(),
        count => format!(", and {count} things are not alike or not right"),
    };
    Err(Failure::Runtime(anyhow!("{fail}{differ}")))
}

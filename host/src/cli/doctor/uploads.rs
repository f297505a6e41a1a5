//! Whether replicas go on with each other's uploads.

use anyhow::{Context, anyhow};
use dtr_lb::config::Config;
use dtr_lb::survey::{SurveyOptions, UploadTest, uploads};
use dtr_lb::upload_test::{UploadFinding, UploadFindingKind, diagnose};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::finding::{Finding, Severity, Source};
use crate::cli::failure::Failure;
use crate::cli::progress::ShownProgress;

/// Tests it, unless a signal comes: then what was begun is deleted, and that is all.
/// `test` makes the test of what stops it.
///
/// # Errors
/// A file of the configuration can't be read, no runtime; it was interrupted.
pub(super) fn test(
    config: &Config,
    test: impl FnOnce(watch::Receiver<bool>) -> UploadTest,
) -> Result<Vec<Finding>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let (stop, stopped) = watch::channel(false);
    let test = test(stopped.clone());
    let mut shown = ShownProgress::new("testing uploads");
    let options = SurveyOptions::default();
    let tested = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("signals can't be awaited")?;
        let mut terminate = signal(SignalKind::terminate()).context("signals can't be awaited")?;
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.send_replace(true);
            // Gone, the sender would look like one that never stops.
            stop.closed().await;
        });
        let testing = uploads(config, test, &options, |progress| shown.update(progress));
        testing.await.map_err(|error| Failure::Usage(error.into()))
    });
    drop(shown);
    // A look-up of a name may block a thread for as long as the resolver waits.
    runtime.shutdown_background();
    let trials = tested?;
    let mut found = diagnose(&trials);
    if *stopped.borrow() {
        found.retain(|one| one.kind == UploadFindingKind::NotDeleted);
        let left: Vec<String> = found.into_iter().map(|one| one.text).collect();
        return Err(Failure::Runtime(match left.is_empty() {
            true => anyhow!("interrupted; the uploads that were begun are deleted"),
            false => anyhow!("interrupted; {}", left.join("; ")),
        }));
    }
    Ok(found.into_iter().map(finding).collect())
}

fn finding(found: UploadFinding) -> Finding {
    Finding {
        severity: match found.kind {
            UploadFindingKind::OtherSecret
            | UploadFindingKind::NotShared
            | UploadFindingKind::LoginRefused
            | UploadFindingKind::Failed => Severity::Error,
            UploadFindingKind::Late | UploadFindingKind::NotTested => Severity::Warning,
            UploadFindingKind::NotDeleted => Severity::Note,
        },
        source: Source::Upload,
        about: found.replicas,
        text: found.text,
    }
}

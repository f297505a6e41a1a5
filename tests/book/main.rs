//! The documentation is run: each page's commands, as they stand and in the order of the
//! page, against the built `dtr-lb`, a real Envoy and stand-in replicas, on a machine of its
//! own whose network, processes and folders the system keeps apart from all others.
//!
//! What belongs to a whole machine, such as systemd or Docker, is a script in `machine/`;
//! packaging/prove-package and packaging/prove-image prove the same on real ones. Where the
//! system does not allow a machine, or a program is missing, pages count as ignored, and a
//! last line gives the reason.
#![expect(
    clippy::unwrap_used,
    reason = "what can't happen fails the page that met it"
)]

mod broken_filter;
mod command;
mod commands;
mod compiled;
mod errand;
mod machine;
mod manifests;
mod page;
mod play;
mod replicas;
mod requirements;
mod running;
mod scene;
mod serving;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dtr_lb_tests::envoy_binary;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::compiled::Compiled;
use crate::errand::{COMPILED, FOLDER};
use crate::page::Page;
use crate::scene::Scene;

fn main() -> ExitCode {
    // Started by this program itself, or by a script of the machine.
    if let Some(errand) = errand::of_this_process() {
        return match run_errand(&errand) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let missing = match requirements::missing() {
        Ok(missing) => missing,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            return ExitCode::FAILURE;
        }
    };
    let arguments = Arguments::from_args();
    let (compiled, shown) = (Arc::new(Compiled::default()), arguments.nocapture);
    let pages = Page::all().into_iter();
    let pages = pages.filter(|page| page.blocks.iter().any(page::Block::is_shell));
    let plays = pages.map(|page| {
        let (name, compiled) = (page.name.clone(), Arc::clone(&compiled));
        let run = move || {
            let printed = in_a_process(&page.name, &compiled).map_err(failed)?;
            if shown {
                print!("{printed}");
            }
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    });
    let mut trials: Vec<Trial> = plays.collect();
    trials.push(trial("no_command_hides_from_this_test", hides_nothing));
    trials.push(trial("the_commands_in_the_text_exist", || {
        commands::exist(&Page::all())
    }));
    let ended = libtest_mimic::run(&arguments, trials);
    if let Some(missing) = missing {
        println!("the pages' commands were not run: {missing}\n");
    }
    ended.exit_code()
}

fn trial(name: &str, test: fn() -> Result<()>) -> Trial {
    Trial::test(name, move || test().map_err(failed))
}

/// Wants every block to say what it is, so that one with commands is known by it, and every
/// scene to have its page.
fn hides_nothing() -> Result<()> {
    let mut wrong = Vec::new();
    let pages = Page::all();
    for page in &pages {
        for paragraph in &page.prose {
            // Where a mark lacks its other half, all after it is taken for what it is not.
            if paragraph.starts_with("~~~") || paragraph.matches('`').count() % 2 == 1 {
                wrong.push(format!("{}: what is code in {paragraph:?}?", page.name));
            }
        }
        for block in &page.blocks {
            let place = format!("{}:{}", page.name, block.line);
            if !LANGUAGES.contains(&block.language.as_str()) {
                wrong.push(format!(
                    "{place}: {:?} is none of {LANGUAGES:?}",
                    block.language
                ));
            }
            if !block.is_shell() && block.text.lines().any(|line| line.starts_with("$ ")) {
                wrong.push(format!("{place}: a command, but not in a block of `sh`"));
            }
        }
    }
    let has_page = |scene: &&Scene| pages.iter().any(|page| page.name == scene.page);
    let lost = Scene::all().iter().filter(|scene| !has_page(scene));
    wrong.extend(lost.map(|scene| format!("{}: has a scene and is not there", scene.page)));
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// Runs a page in a process of its own, since who enters a namespace must have one thread.
/// What it printed.
fn in_a_process(page: &str, compiled: &Compiled) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let mut process = errand::process(page)?;
    process.env(FOLDER, folder.path());
    process.env(COMPILED, compiled.folder()?);
    let mut blocks = Page::named(page).blocks.into_iter();
    if blocks.any(|block| block.is_shell() && block.text.contains("envoy -c")) {
        // On the machine there is no index to fetch it from.
        process.env("ENVOY", envoy_binary()?);
    }
    let output = process.output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (printed, error) = (text(&output.stdout), text(&output.stderr));
    if !output.status.success() {
        bail!("{printed}{error}");
    }
    Ok(printed)
}

fn run_errand(errand: &str) -> Result<()> {
    match errand.split_once(':') {
        Some(("broken-filter", file)) => broken_filter::write(Path::new(file)),
        Some(("manifests", file)) => manifests::check(Path::new(file)),
        Some(("probe", folder)) => requirements::probe(Path::new(folder)),
        _ => {
            let folder = env::var_os(FOLDER).context("no folder")?;
            play::play(&Page::named(errand), Path::new(&folder))
        }
    }
}

fn failed(error: anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}

/// What a block of code may be. Commands are `sh`, and nothing else.
const LANGUAGES: [&str; 7] = ["sh", "json", "text", "yaml", "toml", "rust", "ini"];

//! What a person does on the page of the admin listener, in a real browser, on Envoy and on
//! the host.
//!
//! It takes Chromium and its driver, which not every machine has. Without them each test
//! counts as ignored, and a last line gives the reason.
#![expect(
    clippy::unwrap_used,
    reason = "what can't happen fails the story that met it"
)]

mod browser;
mod chromedriver;
mod stories;
mod webdriver;

use std::path::PathBuf;
use std::process::ExitCode;

use dtr_lb_tests::{Kind, World};
use libtest_mimic::{Arguments, Trial};

/// Each story for both kinds of proxy.
macro_rules! trials {
    ($($story:ident),* $(,)?) => {
        vec![$(
            (
                concat!(stringify!($story), "::host"),
                (|| World::run(Kind::Host, stories::$story)) as fn(),
            ),
            (
                concat!(stringify!($story), "::envoy"),
                || World::run(Kind::Envoy, stories::$story),
            ),
        )*]
    };
}

fn main() -> ExitCode {
    let driver = match chromedriver::find() {
        Ok(driver) => driver,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let mut stories: Vec<(&str, fn())> = trials![
        a_few_replicas_have_cards_and_are_drained_by_a_click,
        the_last_replica_is_taken_out_only_after_a_question,
        forty_replicas_are_searched_and_sorted_in_a_table,
        a_balancer_that_is_gone_looks_stale_and_nothing_healthy,
        all_that_is_down_is_one_sentence,
        a_replicas_text_is_never_markup,
        a_phone_shows_everything_without_scrolling_sideways,
    ];
    stories.push(("a_balancer_that_is_about_to_end_says_so::host", || {
        World::run(Kind::Host, stories::a_balancer_that_is_about_to_end_says_so);
    }));
    let is_missing = driver.is_none();
    let trials = stories.into_iter().map(|(name, story)| {
        let run = move || {
            story();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(is_missing)
    });
    let ended = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    if is_missing {
        println!("{NOT_RUN}");
    }
    ended.exit_code()
}

/// The driver's path, in a run that has one.
fn driver_path() -> PathBuf {
    chromedriver::find().unwrap().unwrap()
}

const NOT_RUN: &str = "the page was not tried in a browser: there is no chromedriver; install \
     chromium and chromium-driver, or set CHROMEDRIVER to its path\n";

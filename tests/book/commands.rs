//! The commands in the running text: each is one that there is.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};
use dtr_lb_tests::dtr_lb_binary;

use crate::page::Page;

/// Wants each `dtr-lb SUBCOMMAND --flag` in the text to have a subcommand and flags that
/// the program's help lists.
///
/// # Errors
/// With all that are not there.
pub(crate) fn exist(pages: &[Page]) -> Result<()> {
    let mut helps = BTreeMap::new();
    let general = help(&[])?;
    let listed = general.split("Commands:").nth(1).unwrap_or_default();
    let listed = listed.split("Options:").next().unwrap_or_default();
    let is_listed = |name: &str| {
        let mut lines = listed.lines().map(str::split_whitespace);
        lines.any(|mut words| words.next() == Some(name))
    };
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages {
        let spans = page
            .prose
            .iter()
            .flat_map(|it| it.split('`').skip(1).step_by(2));
        for span in spans.filter(|span| span.starts_with("dtr-lb ")) {
            seen += 1;
            let words = span.split_whitespace().skip(1);
            let mut words = words.take_while(|word| !ENDS.contains(word));
            let first = words.next().context("a span is cut off")?;
            let (known, flags) = match first.starts_with('-') {
                true => (&general, vec![first]),
                false if !is_listed(first) => {
                    wrong.push(format!("{}: `{span}`: no such subcommand", page.name));
                    continue;
                }
                false => {
                    if !helps.contains_key(first) {
                        helps.insert(first, help(&[first])?);
                    }
                    (
                        &helps[first],
                        words.filter(|word| word.starts_with('-')).collect(),
                    )
                }
            };
            for flag in flags {
                let flag = flag.split('=').next().unwrap_or(flag);
                if flag != "-" && !lists(known, flag) {
                    wrong.push(format!("{}: `{span}`: no such flag as {flag}", page.name));
                }
            }
        }
    }
    if !wrong.is_empty() || seen == 0 {
        bail!("of {seen} commands in the text:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// Whether a help's list of options has this one.
fn lists(help: &str, flag: &str) -> bool {
    let options = help
        .lines()
        .filter(|line| line.trim_start().starts_with('-'));
    let mut words = options.flat_map(|line| line.split_whitespace().take(2));
    words.any(|word| word.split([',', '[', '=']).next() == Some(flag))
}

/// What a command ends with, when another program follows it.
const ENDS: [&str; 5] = ["|", "&&", "||", ";", ">"];

fn help(subcommand: &[&str]) -> Result<String> {
    let mut command = Command::new(dtr_lb_binary()?);
    let output = command.args(subcommand).arg("--help").output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

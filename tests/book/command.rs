//! A command of a page.

use std::process::{Command as Process, Stdio};

use crate::page::Block;

/// What is entered at once.
pub(crate) struct Command {
    pub(crate) text: String,
    /// The page's line where it begins.
    pub(crate) line: usize,
}

/// What a command does, as far as what comes after it must know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It ends by itself.
    Ends,
    /// The same, and from then on a balancer serves.
    Starts,
    /// It is a balancer, which goes on.
    Serves,
    /// It goes on until somebody has seen enough.
    Watches,
}

impl Command {
    /// The commands of a block: each line, with those that continue it.
    pub(crate) fn of(block: &Block) -> Vec<Command> {
        let mut commands = Vec::new();
        let (mut text, mut first) = (String::new(), block.line);
        for (line, number) in block.text.lines().zip(block.line..) {
            if text.is_empty() {
                first = number;
                let code = line.trim_start();
                if code.is_empty() || code.starts_with('#') {
                    continue;
                }
            }
            text += line;
            text.push('\n');
            if !line.ends_with('\\') && is_whole(&text) {
                let line = first;
                let text = std::mem::take(&mut text).trim_end().to_owned();
                commands.push(Command { text, line });
            }
        }
        if !text.is_empty() {
            // As the shell will say, too.
            commands.push(Command { text, line: first });
        }
        commands
    }

    pub(crate) fn kind(&self) -> Kind {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let words = match words.as_slice() {
            ["sudo", rest @ ..] => rest,
            all => all,
        };
        let end = words.iter().position(|word| word.starts_with('#'));
        let words = words.get(..end.unwrap_or(words.len())).unwrap_or(words);
        match words {
            ["dtr-lb", "run" | "demo", ..] | ["envoy", "-c", ..] => Kind::Serves,
            ["systemctl", "start" | "restart", "dtr-lb"] => Kind::Starts,
            ["docker", "run", .., image] if is_ours(image) => Kind::Starts,
            [first, rest @ ..] if rest.iter().any(|word| goes_on(first, word)) => Kind::Watches,
            _ => Kind::Ends,
        }
    }
}

fn is_ours(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split(':').next() == Some("dtr-lb")
}

fn goes_on(program: &str, word: &str) -> bool {
    match program {
        "dtr-lb" => matches!(word, "--watch" | "-w"),
        "journalctl" => matches!(word, "--follow" | "-f"),
        _ => false,
    }
}

/// Whether the shell waits for nothing more.
fn is_whole(text: &str) -> bool {
    let mut shell = Process::new("bash");
    let shell = shell.args(["-n", "-c", text]).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

//! Standard output, where it is a terminal.

use std::io::{IsTerminal, stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use rustix::termios::tcgetwinsize;

/// The terminal that standard output is, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terminal {
    /// In characters.
    pub(super) width: usize,
    /// In lines.
    pub(super) height: usize,
}

impl Terminal {
    /// `None`: it is something else, such as a pipe or a file.
    pub(super) fn find() -> Option<Terminal> {
        if !stdout().is_terminal() {
            return None;
        }
        let size = tcgetwinsize(stdout()).ok();
        // One that does not say has none.
        let known = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        Some(known.map_or(USUAL, |size| Terminal {
            width: usize::from(size.ws_col),
            height: usize::from(size.ws_row),
        }))
    }
}

/// What things look like, by what they mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Palette {
    pub(super) good: Style,
    pub(super) bad: Style,
    pub(super) notable: Style,
    pub(super) stale: Style,
    pub(super) heading: Style,
}

impl Palette {
    /// That of standard output: plain where it is no terminal, or `NO_COLOR` is set.
    pub(super) fn find() -> Palette {
        match AutoStream::choice(&stdout()) {
            ColorChoice::Never => Palette::default(),
            _ => Palette {
                good: AnsiColor::Green.on_default(),
                bad: AnsiColor::Red.on_default(),
                notable: AnsiColor::Yellow.on_default(),
                stale: Style::new().dimmed(),
                heading: Style::new().bold(),
            },
        }
    }
}

/// Of a terminal that does not say.
const USUAL: Terminal = Terminal {
    width: 80,
    height: 24,
};
